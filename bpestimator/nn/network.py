"""The network: forward to the raw outputs, backward to the gradient.

Layer k computes z_k = a_{k-1} W_k + b_k and a_k = f_k(z_k), starting from the rows
a_0 = x. With delta_k = d loss / d z_k, the chain rule gives, from the last layer back,

    dW_k = a_{k-1}^T delta_k,    db_k = sum of delta_k over the batch,
    delta_{k-1} = (delta_k W_k^T) * f'_{k-1}(z_{k-1}).

Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating
errors", Nature 323 (1986).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bpestimator.nn.activations import Activation, Identity
from bpestimator.nn.layout import Array, Layout, Views
from bpestimator.nn.losses import Loss
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
        return Layout(self.sizes)

    @cached_property
    def layer_activations(self) -> tuple[Activation, ...]:
        """The activations of all layers: the last is left to the loss's link."""
        return (*self.activations, Identity())


def product(a: Any, b: Array, out: Array) -> None:
    """out := a @ b over the last two axes; ``a`` may be a sparse matrix."""
    if not isinstance(a, np.ndarray):
        for model in np.ndindex(out.shape[:-2]):
            out[model] = a @ b[model]
    elif out.ndim == 2:
        a.dot(b, out)
    else:
        np.matmul(a, b, out=out)


def _transpose(a: Any) -> Any:
    return a.swapaxes(-1, -2) if isinstance(a, np.ndarray) else a.T


def forward(x: Any, params: Views, ws: Workspace, spec: NetworkSpec) -> Array:
    """Raw outputs of shape (..., batch, outputs), in the workspace.

    ``x`` has shape (..., batch, features), or is a sparse matrix shared by all models.
    """
    a = x
    for weights, biases, z, activation, scratch in zip(
        params.weights,
        params.biases,
        ws.outputs,
        spec.layer_activations,
        ws.scratch,
        strict=True,
    ):
        product(a, weights, z)
        z += biases
        activation.forward(z, scratch)
        a = z
    return ws.outputs[-1]


def backward(x: Any, params: Views, grads: Views, ws: Workspace, spec: NetworkSpec) -> None:
    """Write the gradient of the summed loss into every entry of ``grads``.

    ``ws`` holds what :func:`forward` left there, except that the loss has turned the raw
    outputs into their delta. The inputs' own delta is never computed.
    """
    inputs = [x, *ws.outputs[:-1]]
    for k in range(len(inputs) - 1, -1, -1):
        delta = ws.deltas[k]
        product(_transpose(inputs[k]), delta, grads.weights[k])
        np.add.reduce(delta, axis=-2, keepdims=True, out=grads.biases[k])
        if k > 0:
            product(delta, params.transposed[k], ws.deltas[k - 1])
            spec.activations[k - 1].backward(inputs[k], ws.deltas[k - 1], ws.scratch[k - 1])


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
        x_chunk = x[start : start + chunk] if chunk < rows else x
        size = x_chunk.shape[0]
        if size not in workspaces:
            workspaces[size] = Workspace(spec, size, dtype=dtype, forward_only=True)
        ws = workspaces[size]
        raw = forward(x_chunk, params, ws, spec)
        spec.loss.link(raw, ws.loss_scratch)
        predictions[start : start + chunk] = raw
    return predictions
