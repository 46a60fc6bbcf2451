"""Gradient clipping: limit the norm of a gradient, and keep its direction."""

from __future__ import annotations

from typing import Any

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.nn.recording import (
    absolute,
    constant,
    divide,
    matmul,
    maximum,
    multiply,
    reduce_max,
    sqrt,
)


def clip(grad: Array, max_norm: Any) -> None:
    """g := g max_norm / max(|g|, max_norm), with the Euclidean norm over all parameters.

    Source: Pascanu, Mikolov and Bengio, ICML 2013 (arXiv 1211.5063), algorithm 1.

    Parameters
    ----------
    grad : ndarray of shape lead + (P,)
    max_norm : float, or ndarray of shape lead + (1,)
        Above 0.

    Examples
    --------
    >>> grad = np.array([3.0, 4.0])
    >>> clip(grad, 1.0)
    >>> grad
    array([0.6, 0.8])
    """
    # An infinite limit would make it inf / inf, which is nan.
    limit = constant(np.minimum(max_norm, np.finfo(grad.dtype).max), grad.dtype)
    relative = np.empty_like(grad)
    scale, largest = (np.empty((*grad.shape[:-1], 1), grad.dtype) for _ in range(2))
    # Relative to the largest entry, so that no square overflows.
    absolute(grad, relative)
    reduce_max(relative, -1, None, largest, True)
    maximum(largest, constant(np.finfo(grad.dtype).tiny, grad.dtype), out=largest)
    divide(grad, largest, relative)
    matmul(relative[..., None, :], relative[..., :, None], scale[..., None])
    sqrt(scale, scale)
    multiply(scale, largest, scale)
    maximum(scale, limit, out=scale)
    divide(limit, scale, scale)
    multiply(grad, scale, grad)
