"""The network: forward to the raw outputs, backward to the gradient.

Layer k computes z_k = a_{k-1} W_k + b_k and a_k = f_k(z_k), starting from the rows
a_0 = x. With delta_k = d loss / d z_k, the chain rule gives, from the last layer back,

    dW_k = a_{k-1}^T delta_k,    db_k = sum of delta_k over the batch,
    delta_{k-1} = (delta_k W_k^T) * f'_{k-1}(z_{k-1}).

Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating
errors", Nature 323 (1986).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bpestimator.nn.activations import Activation
from bpestimator.nn.layout import Array, Layout, Views, empty_buffer
from bpestimator.nn.losses import Loss
from bpestimator.nn.ones import RowsWithOnes, product_and_sum, sum_of_rows
from bpestimator.nn.products import (
    Rows,
    add_to_rows,
    product,
    product_transposed,
    product_with_transposed,
    rows_of,
)
from bpestimator.nn.recording import Computation, multiply
from bpestimator.nn.regression_losses import REGRESSION_LOSSES
from bpestimator.nn.workspace import Workspace

# OpenBLAS takes another kernel for few rows, so rows computed in chunks may differ in the
# last bit from rows computed together. Up to EXACT_ROWS they are computed together.
EXACT_ROWS = 4096
# Above, chunks whose hidden layers stay in the cache: measured best of 256 ... 65536.
CHUNK_ROWS = 1024


@dataclass(frozen=True)
class NetworkSpec:
    """What a network is; no number in it learns.

    Parameters
    ----------
    sizes : tuple of int
        Units per layer, inputs first, outputs last.
    activations : tuple of Activation
        One per hidden layer.
    loss : Loss
        What training minimises; prediction needs only the output activation.
    output_activation : Activation, default=None
        What turns raw outputs into predictions; None for the one that suits the loss.
    """

    sizes: tuple[int, ...]
    activations: tuple[Activation, ...]
    loss: Loss = REGRESSION_LOSSES["squared_error"]
    output_activation: Activation = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.output_activation is None:
            object.__setattr__(self, "output_activation", self.loss.output_activation)

    @cached_property
    def layout(self) -> Layout:
        """Where the parameters of each layer lie."""
        return Layout(self.sizes)


Inputs = Array | Rows | RowsWithOnes


def forward(x: Inputs, params: Views, spec: NetworkSpec, ws: Workspace) -> None:
    """Fill ``ws.outputs``, the last of them with the raw outputs.

    ``x`` has shape (..., batch, features), or is a sparse matrix shared by all models, or what
    several models share each, or rows that bring ones.
    """
    a = x
    for k, z in enumerate(ws.outputs):
        if k in ws.masks:
            multiply(a, ws.masks[k], ws.masked[k])
            a = ws.masked[k]
        weighted_sum(a, params, k, z, ws)
        if k < len(spec.activations):
            spec.activations[k].forward(z, ws)
        a = z


def backward(x: Inputs, params: Views, grads: Views, spec: NetworkSpec, ws: Workspace) -> None:
    """Write the gradient of the summed loss, every entry of ``grads``.

    ``ws`` holds what :func:`forward` left, except that the loss has turned the raw outputs
    into their delta. The inputs' own delta is never computed.
    """
    inputs = [ws.masked.get(k, a) for k, a in enumerate([x, *ws.outputs[:-1]])]
    for k in range(len(inputs) - 1, -1, -1):
        delta = ws.deltas[k]
        weighted_sum_gradients(inputs[k], delta, grads, k, ws)
        if k > 0:
            below, delta_below = ws.outputs[k - 1], ws.deltas[k - 1]
            product_with_transposed(delta, params.weights[k], delta_below, ws)
            if k in ws.masks:
                multiply(delta_below, ws.masks[k], delta_below)
            spec.activations[k - 1].backward(below, delta_below, ws)


def weighted_sum(a: Inputs, params: Views, k: int, z: Array, ws: Workspace) -> None:
    """z_k := a_{k-1} W_k + b_k."""
    if isinstance(a, RowsWithOnes):
        if a.to_add is not None:
            product(a.to_add, params.first, z, ws)
            return
        a = a.plain
    product(a, params.weights[k], z, ws)
    add_to_rows(z, params.biases[k], ws)


def weighted_sum_gradients(a: Inputs, delta: Array, grads: Views, k: int, ws: Workspace) -> None:
    """dW_k := a_{k-1}^T delta_k, and db_k := sum of delta_k over the batch."""
    if isinstance(a, RowsWithOnes):
        if a.to_sum is not None:
            product_and_sum(a.to_sum, delta, grads.first, ws)
            return
        a = a.plain
    product_transposed(a, delta, grads.weights[k], ws)
    sum_of_rows(delta, grads.biases[k], ws)


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
        self._x, self._spec = rows_of(x), spec
        self._flat = empty_buffer(spec.layout.n_parameters, dtype)
        self._ws = Workspace(spec.sizes, x.shape[0], (), dtype, False)
        self._compute = Computation(self._forward)

    def __call__(self, params: Array) -> Array:
        """Predictions of shape (rows, outputs), in a buffer that the next call overwrites.

        ``params`` is of shape (P,).
        """
        np.copyto(self._flat, params)
        self._compute()
        return self._ws.outputs[-1]

    def _forward(self) -> None:
        forward(self._x, self._spec.layout.bind(self._flat), self._spec, self._ws)
        self._spec.output_activation.forward(self._ws.outputs[-1], self._ws)


def predict(x: Any, params: Views, spec: NetworkSpec, *, workers: int = 1) -> Array:
    """Predictions of shape (rows, outputs), the output activation applied, of one model.

    All buffers belong to this call: it is safe from any number of threads. More than
    ``EXACT_ROWS`` rows are computed in chunks, so that memory does not grow with rows times
    hidden units.

    Parameters
    ----------
    x : ndarray or CSR matrix of shape (rows, features)
    params : Views
    spec : NetworkSpec
    workers : int, default=1
        Most threads that share the chunks.
    """
    rows = x.shape[0]
    dtype = x.dtype
    if dtype.char not in "fd" or any(weights.dtype != dtype for weights in params.weights):
        # At least float32: rows, and weights that a user has set, may be of any kind.
        dtype = np.result_type(np.float32, dtype, *params.weights)
        weights, biases, _ = params
        params = Views(*([w.astype(dtype, copy=False) for w in part] for part in (weights, biases)))
    if rows <= EXACT_ROWS:
        return _predict_part(x, params, spec, Workspace(spec.sizes, rows, (), dtype, False))
    predictions = np.empty((rows, spec.sizes[-1]), dtype)
    errors = np.geterr()  # other threads do not know the caller's setting

    def fill(part: range) -> None:
        with np.errstate(**errors):
            fill_in_chunks(part)

    def fill_in_chunks(part: range) -> None:
        ws = Workspace(spec.sizes, CHUNK_ROWS, (), dtype, False, in_parts=True)
        for start in part[::CHUNK_ROWS]:
            chunk = slice(start, min(start + CHUNK_ROWS, part.stop))
            if (size := chunk.stop - start) < CHUNK_ROWS:
                ws = Workspace(spec.sizes, size, (), dtype, False, in_parts=True)
            predictions[chunk] = _predict_part(x[chunk], params, spec, ws)

    share = -(-rows // (CHUNK_ROWS * workers)) * CHUNK_ROWS
    parts = [range(start, min(start + share, rows)) for start in range(0, rows, share)]
    if len(parts) == 1:
        fill(parts[0])
    else:
        # NumPy lets other threads run while it computes.
        with ThreadPoolExecutor(len(parts)) as pool:
            list(pool.map(fill, parts))
    return predictions


def _predict_part(x: Any, params: Views, spec: NetworkSpec, ws: Workspace) -> Array:
    """Predictions for all rows at once, in the last buffer of ``ws``."""
    ws.rewind()
    forward(rows_of(x), params, spec, ws)
    spec.output_activation.forward(ws.outputs[-1], ws)
    return ws.outputs[-1]
