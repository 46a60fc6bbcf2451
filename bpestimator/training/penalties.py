"""Penalties on large weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.nn.recording import add, constant, dot, matmul, multiply


@dataclass(frozen=True)
class L2:
    """alpha / 2 * sum of squared weights, divided by the batch's total weight.

    Biases are not penalised. The division is scikit-learn's convention: the penalty weighs as
    much as one more row.

    Parameters
    ----------
    alpha : float, or ndarray of shape lead + (1,)
        Strength, at least 0.
    """

    alpha: Any

    def add_gradient(self, weights: Array, grads: Array, scratch: Array) -> None:
        """grads += alpha * weights, before the division; arrays of shape lead + (n_weights,)."""
        multiply(weights, constant(self.alpha, weights.dtype), scratch)
        add(grads, scratch, grads)

    def value(self, squared_norms: Array, totals: Any) -> Any:
        """alpha / 2 * sum of the squared norms / totals, of shape lead + (batches,).

        Parameters
        ----------
        squared_norms : ndarray of shape lead + (layers, batches)
        totals : float, or ndarray of shape (..., batches)
        """
        return (0.5 * self.alpha) * np.add.reduce(squared_norms, -2) / totals


def squared_norms(layers: list[Array], out: Array) -> None:
    """out[..., k] := sum of squares of layer k, for layers of shape lead + (size,).

    BLAS's dot for each, added up in the order of the layers, gives scikit-learn's bits, on which
    the path of L-BFGS depends.
    """
    for k, layer in enumerate(layers):
        if layer.ndim == 1:
            dot(layer, layer, out[k, ...])
        else:
            row, column = layer[..., None, :], layer[..., :, None]
            matmul(row, column, out[..., k, None, None])
