"""Diagnostics: measures of the last step of an epoch, layer by layer.

For the weights W_k of layer k (1 is next to the features, layer 0 in the code), the step's gradient
dW_k and its change of W_k:

gradient_norm_k : |dW_k|, the penalty's share included; far below the last layer's where gradients
    vanish
weight_norm_k : |W_k|
update_ratio_k : |change of W_k| / |W_k|; about 1e-3 is healthy
idle_units_k : share of the hidden units with |f'(z)| below 0.01 for every row of the batch: dead
    relus, saturated tanh and logistic units, which learn nothing

Norms are Euclidean.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.buffers import empty_buffer
from bpestimator.nn.recording import call, copyto
from bpestimator.training.objective import Objective

# That is |z| > 2.99 for tanh, and > 4.58 for the logistic function, whose f' is at most 1/4.
IDLE = 0.01


class Diagnostics:
    """Measures of the steps of an objective.

    Parameters
    ----------
    objective : Objective
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        params = objective.params
        self._before = empty_buffer(params.shape, params.dtype)
        self._gradient = empty_buffer(params.shape, params.dtype)
        self._rows = 0

    def keep_parameters(self, rows: int) -> None:
        """Called first in a step on a batch of that many rows."""
        call(setattr, self, "_rows", rows)
        copyto(self._before, self._objective.params)

    def keep_gradient(self, segment: slice) -> None:
        """Called in a step when a segment of its gradient is complete."""
        copyto(self._gradient[..., segment], self._objective.grad[..., segment])

    def measure(self) -> dict[str, Array]:
        """Each measure of the last step, of shape lead."""
        bind = self._objective.spec.layout.bind
        measures: dict[str, Any] = {}
        gradients, befores, afters = (
            bind(flat).weights for flat in (self._gradient, self._before, self._objective.params)
        )
        for k, (gradient, before, after) in enumerate(
            zip(gradients, befores, afters, strict=True), start=1
        ):
            measures[f"gradient_norm_{k}"] = np.linalg.norm(gradient, axis=(-2, -1))
            measures[f"weight_norm_{k}"] = np.linalg.norm(after, axis=(-2, -1))
            change = np.linalg.norm(after - before, axis=(-2, -1))
            measures[f"update_ratio_{k}"] = change / np.linalg.norm(before, axis=(-2, -1))
        for k, derivative in enumerate(self._objective.derivatives(self._rows), start=1):
            measures[f"idle_units_{k}"] = (np.abs(derivative) < IDLE).all(axis=-2).mean(axis=-1)
        return measures
