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

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy import add

from bpestimator.nn.activations import Activation
from bpestimator.nn.layout import Array, Layout, Views
from bpestimator.nn.losses import Loss
from bpestimator.nn.tape import Call, Calls, call, play, reduce_sum
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
        Its link is the output layer's activation.
    """

    sizes: tuple[int, ...]
    activations: tuple[Activation, ...]
    loss: Loss

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


def rows_of(x: Any) -> Array | SparseRows:
    """Rows as the passes below take them."""
    return x if isinstance(x, np.ndarray) else SparseRows(x)


def product(a: Array | SparseRows, b: Array, out: Array) -> Call:
    """out := a b, over the last two axes."""
    if isinstance(a, SparseRows):
        return call(a.times, b, out)
    # ndarray.dot spends half a microsecond less than matmul, but knows no leading axes, and
    # where it has to copy an operand it may round otherwise than matmul, scikit-learn's choice.
    fast = out.ndim == 2 and a.flags.forc
    return call(np.ndarray.dot if fast else np.matmul, a, b, out)


def product_transposed(a: Array | SparseRows, b: Array, out: Array) -> Call:
    """out := a^T b, over the last two axes."""
    if isinstance(a, SparseRows):
        return call(a.transposed_times, b, out)
    return product(a.swapaxes(-1, -2), b, out)


def forward(x: Array | SparseRows, params: Views, spec: NetworkSpec, ws: Workspace) -> Calls:
    """Fill ``ws.outputs``, the last of them with the raw outputs.

    ``x`` has shape (..., batch, features), or is a sparse matrix shared by all models.
    """
    a = x
    for k, z in enumerate(ws.outputs):
        yield product(a, params.weights[k], z)
        yield call(add, z, params.biases[k], z)
        if k < len(spec.activations):
            yield from spec.activations[k].forward(z, ws)
        a = z


def backward(
    x: Array | SparseRows, params: Views, grads: Views, spec: NetworkSpec, ws: Workspace
) -> Calls:
    """Write the gradient of the summed loss, every entry of ``grads``.

    ``ws`` holds what :func:`forward` left, except that the loss has turned the raw outputs
    into their delta. The inputs' own delta is never computed.
    """
    inputs = [x, *ws.outputs[:-1]]
    for k in range(len(inputs) - 1, -1, -1):
        delta = ws.deltas[k]
        yield product_transposed(inputs[k], delta, grads.weights[k])
        yield call(reduce_sum, delta, -2, None, grads.biases[k], True)
        if k > 0:
            below, delta_below = ws.outputs[k - 1], ws.deltas[k - 1]
            yield product(delta, params.weights[k].swapaxes(-1, -2), delta_below)
            yield from spec.activations[k - 1].backward(below, delta_below, ws)


def predict(x: Any, params: Views, spec: NetworkSpec, *, in_chunks: bool = True) -> Array:
    """Predictions of shape (rows, outputs), the link applied, of one model.

    More than ``EXACT_ROWS`` rows are computed in chunks unless ``in_chunks`` is false, so
    that memory does not grow with rows times hidden units. All buffers belong to this call:
    it is safe from any number of threads.
    """
    rows = x.shape[0]
    dtype = np.result_type(x.dtype, *params.weights)
    predictions = np.empty((rows, spec.sizes[-1]), dtype)
    chunk = CHUNK_ROWS if in_chunks and rows > EXACT_ROWS else rows
    workspaces: dict[int, Workspace] = {}
    for start in range(0, rows, chunk):
        part = x[start : start + chunk] if chunk < rows else x
        size = part.shape[0]
        if size not in workspaces:
            workspaces[size] = Workspace(spec.sizes, size, dtype=dtype, forward_only=True)
        ws = workspaces[size]
        ws.rewind()
        play(forward(rows_of(part), params, spec, ws))
        play(spec.loss.link(ws.outputs[-1], ws))
        predictions[start : start + chunk] = ws.outputs[-1]
    return predictions
