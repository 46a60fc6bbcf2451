"""A dense layer: its forward pass, and its backward pass.

    z = a W + b

    dW = a^T delta,    db = sum of delta over the batch,    d_a = delta W^T

a : inputs of the layer, shape (..., batch, fan_in); W, b : its weights and biases;
z : what its activation takes, shape (..., batch, fan_out); delta : d loss / d z;
d_a : d loss / d a.

``views`` and ``grad_views`` hold the parameters and the gradient of all layers; k says which layer.
For rows that end in ones, the function named in the decorator runs instead.
"""

from __future__ import annotations

from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.bias_trick import (
    gradient_with_ones,
    in_one_product,
    weighted_sum_with_ones,
)
from bpestimator.nn.kernels.products import (
    Rows,
    add_to_rows,
    product,
    product_a_bt,
    product_at_b,
    sum_over_batch,
)
from bpestimator.nn.kernels.workspace import Workspace
from bpestimator.nn.parameters import Views


@in_one_product(weighted_sum_with_ones)
def forward(a: Array | Rows, views: Views, k: int, z: Array, ws: Workspace) -> None:
    """z := a W + b."""
    product(a, views.weights[k], z, ws)
    add_to_rows(z, views.biases[k], ws)


@in_one_product(gradient_with_ones)
def gradient(a: Array | Rows, grad_views: Views, k: int, delta: Array, ws: Workspace) -> None:
    """dW := a^T delta;  db := sum of delta over the batch."""
    product_at_b(a, delta, grad_views.weights[k], ws)
    sum_over_batch(delta, grad_views.biases[k], ws)


def gradient_of_inputs(delta: Array, views: Views, k: int, d_a: Array, ws: Workspace) -> None:
    """d_a := delta W^T."""
    product_a_bt(delta, views.weights[k], d_a, ws)
