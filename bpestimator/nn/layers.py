"""A dense layer: its forward pass, and its backward pass.

    z = a W + b

    dW = a^T delta,    db = sum of delta over the batch,    delta_below = delta W^T

a : inputs of the layer, shape (..., batch, fan_in); W, b : its weights and biases;
z : what its activation takes, shape (..., batch, fan_out); delta : d loss / d z;
delta_below : d loss / d a.

W and b are those of layer k of the parameters, dW and db of the gradient.
"""

from __future__ import annotations

from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.bias_trick import (
    gradient_with_ones,
    in_one_product,
    sum_over_batch,
    weighted_sum_with_ones,
)
from bpestimator.nn.kernels.products import (
    Rows,
    add_to_rows,
    product,
    product_transposed,
    product_with_transposed,
)
from bpestimator.nn.kernels.workspace import Workspace
from bpestimator.nn.parameters import Views


@in_one_product(weighted_sum_with_ones)
def forward(a: Array | Rows, params: Views, k: int, z: Array, ws: Workspace) -> None:
    """z := a W + b."""
    product(a, params.weights[k], z, ws)
    add_to_rows(z, params.biases[k], ws)


@in_one_product(gradient_with_ones)
def gradient(a: Array | Rows, grads: Views, k: int, delta: Array, ws: Workspace) -> None:
    """dW := a^T delta;  db := sum of delta over the batch."""
    product_transposed(a, delta, grads.weights[k], ws)
    sum_over_batch(delta, grads.biases[k], ws)


def delta_below(delta: Array, params: Views, k: int, out: Array, ws: Workspace) -> None:
    """delta_below := delta W^T."""
    product_with_transposed(delta, params.weights[k], out, ws)
