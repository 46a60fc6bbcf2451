"""Initial weights: small enough not to saturate, large enough to break symmetry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from bpestimator.nn.layout import Array, Layout, Shape, empty_buffer


class Uniform(Protocol):
    """Draws numbers evenly from [low, high): ``RandomState.uniform`` is one."""

    def __call__(self, low: float, high: float, size: Shape | int) -> Array: ...


def glorot_uniform(
    layout: Layout, gains: float | Sequence[float], uniform: Uniform, dtype: Any
) -> Array:
    """Weights and biases evenly from [-r, r],  r = sqrt(gain / (fan_in + fan_out)).

    Layer by layer, weights before biases: the order of draws is scikit-learn's, so that a
    seed means the same network in both. Drawn in float64, then rounded to ``dtype``.

    Source: Glorot and Bengio, AISTATS 2010, eq. 16 (gain 6); 2 for logistic units.

    Parameters
    ----------
    layout : Layout
    gains : float, or a sequence of one per layer
    uniform : callable
    dtype : dtype

    Returns
    -------
    ndarray of shape (n_parameters,)
    """
    flat = empty_buffer(layout.n_parameters, dtype)
    views = layout.bind(flat)
    each_gain = np.broadcast_to(gains, len(views.weights))
    for gain, weights, biases in zip(each_gain, views.weights, views.biases, strict=True):
        fan_in, fan_out = weights.shape
        bound = float(np.sqrt(gain / (fan_in + fan_out)))
        weights[...] = uniform(-bound, bound, (fan_in, fan_out))
        biases[...] = uniform(-bound, bound, fan_out)
    return flat
