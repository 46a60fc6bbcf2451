"""The network: forward to the raw outputs, backward to the gradient.

Layer k computes z_k = a_{k-1} W_k + b_k and a_k = f_k(z_k), starting from the rows
a_0 = x. With delta_k = d loss / d z_k, the chain rule gives, from the last layer back,

    dW_k = a_{k-1}^T delta_k,    db_k = sum of delta_k over the batch,
    delta_{k-1} = (delta_k W_k^T) * f'_{k-1}(z_{k-1}).

Both passes yield their calls (see :mod:`bpestimator.nn.tape`).

Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating
errors", Nature 323 (1986).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy import add, copyto, multiply

from bpestimator.nn.activations import Activation
from bpestimator.nn.layout import Array, Layout, Views
from bpestimator.nn.losses import Loss
from bpestimator.nn.regression_losses import REGRESSION_LOSSES
from bpestimator.nn.tape import Calls, call, play, reduce_sum
from bpestimator.nn.workspace import Workspace

# OpenBLAS takes another kernel for few rows, so rows computed in chunks may differ in the
# last bit from rows computed together. Up to EXACT_ROWS they are computed together.
EXACT_ROWS = 4096
# Above, chunks whose hidden layers stay in the cache: measured best of 256 ... 65536.
CHUNK_ROWS = 1024


# Sums of so few terms take OpenBLAS up to twice as long where the second factor is read column by
# column. (From 16 on it may round them otherwise.)
FEW_TERMS = range(2, 16)


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
        What training minimises; prediction needs only the link.
    output_activation : Activation or None, default=None
        The link; None for the one that suits the loss.
    """

    sizes: tuple[int, ...]
    activations: tuple[Activation, ...]
    loss: Loss = REGRESSION_LOSSES["squared_error"]
    output_activation: Activation | None = None

    @property
    def link(self) -> Activation:
        """What turns raw outputs into predictions."""
        return self.loss.link if self.output_activation is None else self.output_activation

    @cached_property
    def layout(self) -> Layout:
        """Where the parameters of each layer lie."""
        return Layout(self.sizes)


@dataclass
class SparseRows:
    """A batch whose rows come as a sparse matrix, a new one for each batch."""

    matrix: Any = None

    def times(self, b: Array, out: Array) -> None:
        """out := matrix b, for each model."""
        for model in np.ndindex(out.shape[:-2]):
            out[model] = self.matrix @ b[model]

    def transposed_times(self, b: Array, out: Array) -> None:
        """out := matrix^T b, for each model."""
        for model in np.ndindex(out.shape[:-2]):
            out[model] = self.matrix.T @ b[model]


@dataclass(frozen=True)
class SharedRows:
    """A batch of several data sets, each shared by models that follow one another.

    Parameters
    ----------
    parts : list of (slice, ndarray)
        Which models, along the leading axis, and their rows, of shape (batch, features).
    """

    parts: list[tuple[slice, Array]]


Rows = SparseRows | SharedRows


def rows_of(x: Any) -> Array | SparseRows:
    """Rows as the passes below take them."""
    return x if isinstance(x, np.ndarray) else SparseRows(x)


def product(a: Array | Rows, b: Array, out: Array, ws: Workspace) -> Calls:
    """out := a b, over the last two axes."""
    if isinstance(a, SparseRows):
        yield call(a.times, b, out)
    elif isinstance(a, SharedRows):
        for models, rows in a.parts:
            yield from product(rows, b[models], out[models], ws)
    elif out.ndim > 2 and a.shape[-1] == 1:
        # BLAS has no kernel for columns times rows, and NumPy takes five times as long as BLAS
        # for two columns, the second of them zeros.
        columns, rows = (
            ws.zeros(shape, out.dtype)
            for shape in ((*a.shape[:-1], 2), (*b.shape[:-2], 2, b.shape[-1]))
        )
        yield call(copyto, columns[..., :1], a)
        yield call(copyto, rows[..., :1, :], b)
        yield call(np.matmul, columns, rows, out)
    else:
        # ndarray.dot spends half a microsecond less than matmul, but knows no leading axes, and
        # where it has to copy an operand it may round otherwise than matmul, scikit-learn's way.
        fast = out.ndim == 2 and a.flags.forc
        yield call(np.ndarray.dot if fast else np.matmul, a, b, out)


def product_transposed(a: Array | Rows, b: Array, out: Array, ws: Workspace) -> Calls:
    """out := a^T b, over the last two axes."""
    if isinstance(a, SparseRows):
        yield call(a.transposed_times, b, out)
    elif isinstance(a, SharedRows):
        for models, rows in a.parts:
            yield from product_transposed(rows, b[models], out[models], ws)
    else:
        yield from product(a.swapaxes(-1, -2), b, out, ws)


def product_with_transposed(a: Array, b: Array, out: Array, ws: Workspace) -> Calls:
    """out := a b^T, over the last two axes."""
    transposed = b.swapaxes(-1, -2)
    if a.shape[-2] > 1 and a.shape[-1] in FEW_TERMS:
        in_order = ws.empty(transposed.shape, b.dtype)
        yield call(copyto, in_order, transposed)
        transposed = in_order
    yield from product(a, transposed, out, ws)


def add_to_rows(z: Array, row: Array, ws: Workspace) -> Calls:
    """z += row, to every row of the batch."""
    if not z.flags.c_contiguous:  # row by row in memory: with the row in one piece, one long run
        piece = ws.like(z[..., :1, :])
        yield call(copyto, piece, row)
        row = piece
    yield call(add, z, row, z)


def sum_of_rows(delta: Array, out: Array, ws: Workspace) -> Calls:
    """out := sum over the batch."""
    if delta.ndim == 2 or delta.shape[-1] == 1:  # a single column is summed in another order
        yield call(reduce_sum, delta, -2, None, out, True)
        return
    by_row, piece = delta, ws.like(out)
    if delta.flags.c_contiguous:
        by_row = ws.row_by_row(delta)
        yield call(copyto, by_row, delta)
    yield call(reduce_sum, by_row, -2, None, piece, True)
    yield call(copyto, out, piece)


def forward(x: Array | Rows, params: Views, spec: NetworkSpec, ws: Workspace) -> Calls:
    """Fill ``ws.outputs``, the last of them with the raw outputs.

    ``x`` has shape (..., batch, features), or is a sparse matrix shared by all models, or what
    several models share each.
    """
    a = x
    for k, z in enumerate(ws.outputs):
        if k in ws.masks:
            yield call(multiply, a, ws.masks[k], ws.masked[k])
            a = ws.masked[k]
        yield from product(a, params.weights[k], z, ws)
        yield from add_to_rows(z, params.biases[k], ws)
        if k < len(spec.activations):
            yield from spec.activations[k].forward(z, ws)
        a = z


def backward(
    x: Array | Rows, params: Views, grads: Views, spec: NetworkSpec, ws: Workspace
) -> Calls:
    """Write the gradient of the summed loss, every entry of ``grads``.

    ``ws`` holds what :func:`forward` left, except that the loss has turned the raw outputs
    into their delta. The inputs' own delta is never computed.
    """
    inputs = [ws.masked.get(k, a) for k, a in enumerate([x, *ws.outputs[:-1]])]
    for k in range(len(inputs) - 1, -1, -1):
        delta = ws.deltas[k]
        yield from product_transposed(inputs[k], delta, grads.weights[k], ws)
        yield from sum_of_rows(delta, grads.biases[k], ws)
        if k > 0:
            below, delta_below = ws.outputs[k - 1], ws.deltas[k - 1]
            yield from product_with_transposed(delta, params.weights[k], delta_below, ws)
            if k in ws.masks:
                yield call(multiply, delta_below, ws.masks[k], delta_below)
            yield from spec.activations[k - 1].backward(below, delta_below, ws)


def predict(
    x: Any, params: Views, spec: NetworkSpec, *, in_chunks: bool = True, workers: int = 1
) -> Array:
    """Predictions of shape (rows, outputs), the link applied, of one model.

    All buffers belong to this call: it is safe from any number of threads.

    Parameters
    ----------
    x : ndarray or CSR matrix of shape (rows, features)
    params : Views
    spec : NetworkSpec
    in_chunks : bool, default=True
        Whether more than ``EXACT_ROWS`` rows are computed in chunks, so that memory does not
        grow with rows times hidden units.
    workers : int, default=1
        Most threads that share the chunks.
    """
    rows = x.shape[0]
    # At least float32: weights that a user has set may be of any kind.
    dtype = np.result_type(np.float32, x.dtype, *params.weights)
    if any(weights.dtype != dtype for weights in params.weights):
        params = Views(*([array.astype(dtype, copy=False) for array in part] for part in params))
    if not in_chunks or rows <= EXACT_ROWS:
        return _predict_part(x, params, spec, Workspace(spec.sizes, rows, (), dtype, False))
    predictions = np.empty((rows, spec.sizes[-1]), dtype)
    errors = np.geterr()  # other threads do not know the caller's setting

    def fill(part: range) -> None:
        with np.errstate(**errors):
            fill_in_chunks(part)

    def fill_in_chunks(part: range) -> None:
        ws = Workspace(spec.sizes, CHUNK_ROWS, (), dtype, False)
        for start in part[::CHUNK_ROWS]:
            chunk = slice(start, min(start + CHUNK_ROWS, part.stop))
            if chunk.stop - start < CHUNK_ROWS:
                ws = Workspace(spec.sizes, chunk.stop - start, (), dtype, False)
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
    play(forward(rows_of(x), params, spec, ws))
    play(spec.link.forward(ws.outputs[-1], ws))
    return ws.outputs[-1]
