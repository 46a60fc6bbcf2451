"""The network: forward to the raw outputs, backward to the gradient.

Layers are numbered 0 ... L - 1. Layer k computes z_k = a_k W_k + b_k and a_(k+1) = f_k(z_k),
starting from the rows a_0 = x. With delta_k = d loss / d z_k, the chain rule gives, from the last
layer back,

    dW_k = a_k^T delta_k,    db_k = sum of delta_k over the batch,
    delta_(k-1) = (delta_k W_k^T) * f'_(k-1)(z_(k-1)).

Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating
errors", Nature 323 (1986).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bpestimator.nn import layers
from bpestimator.nn.activations import Activation
from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.bias_trick import RowsWithOnes
from bpestimator.nn.kernels.products import Rows
from bpestimator.nn.kernels.workspace import Workspace
from bpestimator.nn.losses import Loss
from bpestimator.nn.parameters import Layout, Views
from bpestimator.nn.recording import multiply
from bpestimator.nn.regression_losses import REGRESSION_LOSSES

Inputs = Array | Rows | RowsWithOnes


@dataclass(frozen=True)
class NetworkSpec:
    """What a network is, apart from its parameters.

    Parameters
    ----------
    sizes : tuple of int
        Units per layer, inputs first, outputs last.
    activations : tuple of Activation
        One per hidden layer.
    loss : Loss
        What training minimises; prediction needs only the output activation.
    output_activation : Activation, default=None
        Turns raw outputs into predictions; None for the loss's own.
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


def forward(x: Inputs, views: Views, spec: NetworkSpec, ws: Workspace) -> None:
    """Fill ``ws.outputs``: ``outputs[k]`` with a_(k+1), the last of them with the raw outputs.

    ``x`` is an array of shape (..., batch, features), a sparse matrix, rows that several models
    share, or rows that end in ones.
    """
    a = x
    for k, z in enumerate(ws.outputs):
        if k in ws.masks:
            multiply(a, ws.masks[k], ws.masked[k])  # NumPy's multiply, recorded
            a = ws.masked[k]
        layers.forward(a, views, k, z, ws)
        if k < len(spec.activations):
            spec.activations[k].forward(z, ws)  # z := f(z), in place
        a = z


def backward(x: Inputs, views: Views, grad_views: Views, spec: NetworkSpec, ws: Workspace) -> None:
    """Write the gradient of the summed loss, every entry of ``grad_views``.

    ``ws`` holds what :func:`forward` left, except that the loss has turned the raw outputs
    into their delta. The delta of the inputs x is never computed.

    Each buffer ``below`` holds d loss / d a of the layer above it until the activation's
    ``backward`` multiplies that by f'; then it holds delta.
    """
    inputs = [ws.masked.get(k, a) for k, a in enumerate([x, *ws.outputs[:-1]])]
    for k in reversed(range(len(inputs))):
        delta = ws.deltas[k]
        layers.gradient(inputs[k], grad_views, k, delta, ws)
        if k > 0:
            below = ws.deltas[k - 1]
            layers.gradient_of_inputs(delta, views, k, below, ws)
            if k in ws.masks:
                multiply(below, ws.masks[k], below)
            spec.activations[k - 1].backward(ws.outputs[k - 1], below, ws)
