"""Gradient check: compare a gradient with central differences.

Along a direction v, the derivative of a function with the gradient g is g . v; central
differences estimate it. A random direction checks every entry of the gradient at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bpestimator.nn.arrays import Array

ValueAndGradient = Callable[[Array], tuple[Any, Array]]


def directional_derivative(
    function: ValueAndGradient, params: Array, direction: Array, step: float
) -> Array:
    """The derivative of ``function`` along ``direction``, by central differences.

    Of shape lead.

    D(h) = (f(p + h v) - f(p - h v)) / (2 h), extrapolated to (4 D(h/2) - D(h)) / 3, whose
    error is of order h^4.
    """

    def difference(h: float) -> Array:
        above, _ = function(params + h * direction)
        below, _ = function(params - h * direction)
        return np.asarray((above - below) / (2 * h))

    return np.asarray((4 * difference(step / 2) - difference(step)) / 3)


def gradient_error(
    function: ValueAndGradient, params: Array, direction: Array, step: float = 1e-4
) -> Array:
    """The relative error of a gradient, compared with central differences.

    Parameters
    ----------
    function : callable
        Takes parameters of shape lead + (P,), returns values of shape lead and their
        gradients of shape lead + (P,).
    params, direction : ndarray of shape lead + (P,)
        Choose the direction at random, and the parameters away from kinks (of relu, say).
    step : float, default=1e-4

    Returns
    -------
    ndarray of shape lead
        |g . v - d| / (|g| |v| / sqrt(P)) with the estimate d of g . v; about 1e-10 if the
        gradient is right.

    Examples
    --------
    >>> def half_square(p):
    ...     return 0.5 * np.sum(p**2, axis=-1), p
    >>> bool(gradient_error(half_square, np.arange(3.0), np.array([1.0, -1.0, 2.0])) < 1e-9)
    True
    """
    _, gradient = function(params)
    derivative = np.sum(gradient * direction, axis=-1)
    norms = np.linalg.norm(gradient, axis=-1) * np.linalg.norm(direction, axis=-1)
    typical = norms / np.sqrt(params.shape[-1])
    estimate = directional_derivative(function, params, direction, step)
    return np.asarray(np.abs(derivative - estimate) / np.maximum(typical, np.finfo(float).tiny))
