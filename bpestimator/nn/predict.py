"""Predictions: many rows in bounded memory, from any number of threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.buffers import empty_buffer
from bpestimator.nn.kernels.products import rows_of
from bpestimator.nn.kernels.workspace import Workspace
from bpestimator.nn.network import NetworkSpec, forward
from bpestimator.nn.parameters import Views
from bpestimator.nn.recording import Computation

# OpenBLAS takes another routine for few rows, so rows computed in chunks may differ in the
# last bit from rows computed together. Up to EXACT_ROWS they are computed together.
EXACT_ROWS = 4096
# Above, chunks whose hidden layers stay in the cache: measured best of 256 ... 65536.
CHUNK_ROWS = 1024


class Predictor:
    """Predictions for the same rows again and again, while the parameters change.

    Parameters
    ----------
    x : ndarray or CSR matrix of shape (rows, features)
    spec : NetworkSpec
    dtype : dtype
        Of the parameters, and of ``x``.
    """

    def __init__(self, x: Any, spec: NetworkSpec, dtype: Any) -> None:
        self._params = empty_buffer(spec.layout.n_parameters, dtype)
        ws = Workspace(spec.sizes, x.shape[0], dtype=dtype, backward=False)
        self._predictions = ws.outputs[-1]
        self._compute = Computation(
            _predict_together, rows_of(x), spec.layout.bind(self._params), spec, ws
        )

    def __call__(self, params: Array) -> Array:
        """Predictions of shape (rows, outputs), in a buffer that the next call overwrites.

        ``params`` is of shape (P,).
        """
        np.copyto(self._params, params)
        self._compute()
        return self._predictions


def predict(x: Any, views: Views, spec: NetworkSpec, *, workers: int = 1) -> Array:
    """Predictions of shape (rows, outputs), the output activation applied, of one model.

    All buffers belong to this call: it is safe from any number of threads. More than
    ``EXACT_ROWS`` rows are computed in chunks, so that memory does not grow with rows times
    hidden units.

    Parameters
    ----------
    x : ndarray or CSR matrix of shape (rows, features)
    views : Views
        The parameters.
    spec : NetworkSpec
    workers : int, default=1
        Most threads that share the chunks.
    """
    rows = x.shape[0]
    dtype = x.dtype
    if dtype.char not in "fd" or any(weights.dtype != dtype for weights in views.weights):
        # At least float32: rows, and weights that a user has set, may be of any kind.
        dtype = np.result_type(np.float32, dtype, *views.weights)
        views = views.astype(dtype)
    if rows > EXACT_ROWS:
        return _predict_in_chunks(x, views, spec, dtype, workers)
    ws = Workspace(spec.sizes, rows, dtype=dtype, backward=False)
    _predict_together(rows_of(x), views, spec, ws)
    return ws.outputs[-1]


def _predict_together(x: Any, views: Views, spec: NetworkSpec, ws: Workspace) -> None:
    """Predictions for all rows at once, in the last buffer of ``ws``."""
    forward(x, views, spec, ws)
    spec.output_activation.forward(ws.outputs[-1], ws)


def _predict_in_chunks(x: Any, views: Views, spec: NetworkSpec, dtype: Any, workers: int) -> Array:
    rows = x.shape[0]
    predictions = np.empty((rows, spec.sizes[-1]), dtype)
    errors = np.geterr()  # other threads do not know the caller's setting

    def fill(share: range) -> None:
        with np.errstate(**errors):
            _fill_in_chunks(predictions, share, x, views, spec)

    of_each = -(-rows // (CHUNK_ROWS * workers)) * CHUNK_ROWS
    shares = [range(start, min(start + of_each, rows)) for start in range(0, rows, of_each)]
    if len(shares) == 1:
        fill(shares[0])
    else:
        # NumPy lets other threads run while it computes.
        with ThreadPoolExecutor(len(shares)) as pool:
            list(pool.map(fill, shares))
    return predictions


def _fill_in_chunks(
    predictions: Array, share: range, x: Any, views: Views, spec: NetworkSpec
) -> None:
    """Write the predictions for a thread's share of the rows, on buffers that its chunks share."""
    size, ws = 0, None
    for start in share[::CHUNK_ROWS]:
        chunk = slice(start, min(start + CHUNK_ROWS, share.stop))
        if ws is None or chunk.stop - start != size:
            size = chunk.stop - start
            ws = Workspace(
                spec.sizes, size, dtype=predictions.dtype, backward=False, splits_products=True
            )
        ws.rewind()
        _predict_together(rows_of(x[chunk]), views, spec, ws)
        predictions[chunk] = ws.outputs[-1]
