"""Penalties: what large weights cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bpestimator.nn.layout import Array


@dataclass(frozen=True)
class L2:
    """alpha / 2 * sum of squared weights, divided by the batch's total weight.

    Biases are spared. The division means that the penalty counts as one more row would:
    scikit-learn's convention.

    Parameters
    ----------
    alpha : float, or ndarray of shape lead + (1,)
        Strength, at least 0.
    """

    alpha: Any

    def add_gradient(self, weights: Array, grads: Array, scratch: Array) -> None:
        """grads += alpha * weights, before the division; arrays of shape lead + (n_weights,)."""
        np.multiply(weights, self.alpha, scratch)
        np.add(grads, scratch, grads)

    def value(self, squared_norm: Any, totals: Any) -> Any:
        """alpha / 2 * squared_norm / totals, of shape lead + (batches,)."""
        return (0.5 * self.alpha) * squared_norm / totals


def squared_norm(layers: list[Array]) -> Any:
    """Sum of squares over layers of shape lead + (size,), one layer after the other.

    That order, and a BLAS dot for each, give scikit-learn's very number; L-BFGS steers by it.
    """
    if layers[0].ndim == 1:
        return sum([layer.dot(layer) for layer in layers])
    products = [np.matmul(layer[..., None, :], layer[..., :, None]) for layer in layers]
    return sum(products)[..., 0, 0]
