"""Output activations: functions that turn raw outputs into predictions.

An output activation is the activation of the output layer, with its derivative beside it. Any
elementwise activation can serve as one. The classes here are those that only an output layer has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from bpestimator.nn.activations import ACTIVATIONS, Activation
from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.products import FEW_COLUMNS, sum_of_columns
from bpestimator.nn.kernels.workspace import Workspace
from bpestimator.nn.recording import (
    accumulate,
    constant,
    copyto,
    divide,
    exp,
    expit,
    logaddexp,
    multiply,
    reduce_max,
    reduce_sum,
    subtract,
)


@dataclass(frozen=True)
class Exp(Activation):
    """f(z) = exp(z), above 0;  f' = a."""

    name = "exp"
    bounds = (0.0, inf)

    def forward(self, z: Array, ws: Workspace) -> None:
        exp(z, z)

    def backward(self, a: Array, delta: Array, ws: Workspace) -> None:
        multiply(delta, a, delta)


@dataclass(frozen=True)
class Softmax(Activation):
    """p_j = exp(z_j) / sum_i exp(z_i);  delta_j := p_j (delta_j - sum_i delta_i p_i).

    Each row's maximum is subtracted first, which changes nothing but prevents overflow.
    """

    name = "softmax"
    bounds = (0.0, 1.0)

    def forward(self, z: Array, ws: Workspace) -> None:
        lead, outputs = z.shape[:-1], z.shape[-1]
        row_max, row_sum = (ws.empty(lead, z.dtype) for _ in range(2))
        long_columns = 1 < outputs <= row_max.size
        if long_columns:
            # Rows of three or ten numbers cost a call each; columns are long.
            columns = ws.empty((outputs, *lead), z.dtype)
            by_row = columns.transpose(*range(1, z.ndim), 0)
            copyto(by_row, z)
            reduce_max(columns, 0, None, row_max)
        else:
            reduce_max(z, -1, None, row_max)
        if long_columns and outputs <= FEW_COLUMNS:
            subtract(columns, row_max, columns)
            exp(columns, columns)
            sum_of_columns(columns, row_sum, ws)
            divide(columns, row_sum, z.transpose(-1, *range(z.ndim - 1)))
        else:
            subtract(z, row_max[..., None], z)
            exp(z, z)
            reduce_sum(z, -1, None, row_sum)
            divide(z, row_sum[..., None], z)

    def backward(self, a: Array, delta: Array, ws: Workspace) -> None:
        shared = ws.empty((*a.shape[:-1], 1), a.dtype)
        weighted = ws.like(a)
        multiply(delta, a, weighted)
        reduce_sum(weighted, -1, None, shared, True)
        multiply(a, shared, delta)
        subtract(weighted, delta, delta)


@dataclass(frozen=True)
class Increasing(Activation):
    """p_j = g(z_0 + sum of softplus(z_i) over 0 < i <= j): outputs in increasing order.

    softplus(z) = log(1 + exp(z)) is at least 0, so p_0 <= p_1 <= ... for any increasing g. Each
    z_i changes every p_j with j >= i: delta_i := s(z_i) times the sum of delta_j g'_j over
    j >= i, with s the derivative of softplus, and 1 in place of s(z_0).

    Parameters
    ----------
    outer : Activation, default=Identity()
        The increasing function g.
    """

    outer: Activation = ACTIVATIONS["identity"]

    @property
    def name(self) -> str:  # type: ignore[override]
        return "increasing" if self.outer.name == "identity" else f"increasing_{self.outer.name}"

    @property
    def bounds(self) -> tuple[float, float]:  # type: ignore[override]
        return self.outer.bounds

    def forward(self, z: Array, ws: Workspace) -> None:
        summed, steps = ws.like(z), z[..., 1:]
        derivative = ws.derivative(z, name="steps")
        if derivative is not None:
            expit(steps, derivative[..., 1:])
        logaddexp(steps, constant(0, z.dtype), steps)
        accumulate(z, -1, None, summed)
        copyto(z, summed)
        self.outer.forward(z, ws)

    def backward(self, a: Array, delta: Array, ws: Workspace) -> None:
        summed, derivative = ws.like(a), ws.derivative(a, name="steps")
        assert derivative is not None
        self.outer.backward(a, delta, ws)
        accumulate(delta[..., ::-1], -1, None, summed[..., ::-1])
        multiply(summed[..., 1:], derivative[..., 1:], summed[..., 1:])
        copyto(delta, summed)


# What users may choose for a regressor.
OUTPUT_ACTIVATIONS: Mapping[str, Activation] = {
    **{name: ACTIVATIONS[name] for name in ("identity", "logistic", "tanh", "softplus")},
    "exp": Exp(),
}

# By the name in a fitted estimator's ``out_activation_``.
ALL_OUTPUT_ACTIVATIONS: Mapping[str, Activation] = {
    **OUTPUT_ACTIVATIONS,
    "softmax": Softmax(),
    **{
        output_activation.name: output_activation
        for output_activation in map(Increasing, OUTPUT_ACTIVATIONS.values())
    },
}
