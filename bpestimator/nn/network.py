"""The network: forward to the raw outputs, backward to the gradient.

Layer k computes z_k = a_{k-1} W_k + b_k and a_k = f_k(z_k), starting from the rows
a_0 = x. With delta_k = d loss / d z_k, the chain rule gives, from the last layer back,

    dW_k = a_{k-1}^T delta_k,    db_k = sum of delta_k over the batch,
    delta_{k-1} = (delta_k W_k^T) * f'_{k-1}(z_{k-1}).

Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating
errors", Nature 323 (1986).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from bpestimator.nn.activations import Activation, Identity
from bpestimator.nn.layout import Array, Layout, Views
from bpestimator.nn.losses import Loss
from bpestimator.nn.workspace import Workspace

add = np.add
# Called with positional out, which is faster but unknown to NumPy's type hints.
sum_rows: Any = np.add.reduce

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


Product = Callable[[Any, Array, Array], Any]


def _sparse_product(a: Any, b: Array, out: Array) -> None:
    for model in np.ndindex(out.shape[:-2]):
        out[model] = a @ b[model]


class Up(NamedTuple):
    """What :func:`forward` needs of layer k."""

    product: Product
    weights: Array
    biases: Array
    output: Array
    activate: Callable[[Array, Any], None]
    scratch: Any


class Down(NamedTuple):
    """What :func:`backward` needs of layer k, and of the layer below it, k - 1."""

    delta: Array
    weights_t: Array
    weight_grad: Array
    bias_grad: Array
    below: Array
    below_t: Array
    delta_below: Array
    scale: Callable[[Array, Array, Any], None]
    scratch: Any


class Wiring(NamedTuple):
    """Parameters, gradient and buffers, bound once so that steps need not look them up.

    product : (a, b, out) -> None, out := a b over the last two axes
    up : every layer, first to last
    down : every layer but the first, last to second
    delta, weight_grad, bias_grad : of the first layer, whose inputs are the rows
    """

    product: Product
    product_x: Product
    up: list[Up]
    down: list[Down]
    delta: Array
    weight_grad: Array
    bias_grad: Array


def wire(
    spec: NetworkSpec, params: Views, grads: Views, ws: Workspace, *, sparse: bool = False
) -> Wiring:
    """Bind a workspace to the parameters and their gradient.

    ``sparse`` says whether the rows will come as sparse matrices.
    """
    # ndarray.dot spends half a microsecond less than matmul, but knows no leading axes.
    product: Product = np.ndarray.dot if ws.outputs[-1].ndim == 2 else np.matmul
    product_x = _sparse_product if sparse else product
    layers = list(enumerate(spec.layer_activations))
    up = [
        Up(
            product=product if k else product_x,
            weights=params.weights[k],
            biases=params.biases[k],
            output=ws.outputs[k],
            activate=activation.forward,
            scratch=ws.scratch[k],
        )
        for k, activation in layers
    ]
    down = [
        Down(
            delta=ws.deltas[k],
            weights_t=params.weights[k].swapaxes(-1, -2),
            weight_grad=grads.weights[k],
            bias_grad=grads.biases[k],
            below=ws.outputs[k - 1],
            below_t=ws.outputs[k - 1].swapaxes(-1, -2),
            delta_below=ws.deltas[k - 1],
            scale=spec.layer_activations[k - 1].backward,
            scratch=ws.scratch[k - 1],
        )
        for k, _ in reversed(layers[1:])
    ]
    return Wiring(product, product_x, up, down, ws.deltas[0], grads.weights[0], grads.biases[0])


def forward(x: Any, wiring: Wiring) -> Array:
    """Raw outputs of shape (..., batch, outputs), in the last layer's buffer.

    ``x`` has shape (..., batch, features), or is a sparse matrix shared by all models.
    """
    a = x
    for product, weights, biases, z, activate, scratch in wiring.up:
        product(a, weights, z)
        add(z, biases, z)
        activate(z, scratch)
        a = z
    return wiring.up[-1].output


def backward(x: Any, wiring: Wiring) -> None:
    """Write the gradient of the summed loss, every entry of it.

    The buffers hold what :func:`forward` left, except that the loss has turned the raw
    outputs into their delta. The inputs' own delta is never computed.
    """
    product, product_x, _, down, first_delta, first_weight_grad, first_bias_grad = wiring
    for delta, weights_t, weight_grad, bias_grad, a, a_t, delta_below, scale, scratch in down:
        product(a_t, delta, weight_grad)
        sum_rows(delta, -2, None, bias_grad, True)
        product(delta, weights_t, delta_below)
        scale(a, delta_below, scratch)
    x_t = x.T if x.ndim == 2 else x.swapaxes(-1, -2)
    product_x(x_t, first_delta, first_weight_grad)
    sum_rows(first_delta, -2, None, first_bias_grad, True)


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
    sparse = not isinstance(x, np.ndarray)
    bound: dict[int, tuple[Workspace, Wiring]] = {}
    for start in range(0, rows, chunk):
        x_chunk = x[start : start + chunk] if chunk < rows else x
        size = x_chunk.shape[0]
        if size not in bound:
            ws = Workspace(spec, size, dtype=dtype, forward_only=True)
            bound[size] = ws, wire(spec, params, params, ws, sparse=sparse)
        ws, wiring = bound[size]
        raw = forward(x_chunk, wiring)
        spec.loss.link(raw, ws.loss_scratch)
        predictions[start : start + chunk] = raw
    return predictions
