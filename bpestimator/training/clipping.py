"""Clipping: a gradient that is too long is shortened; its direction stays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import absolute, divide, matmul, maximum, multiply, sqrt

from bpestimator.nn.layout import Array
from bpestimator.nn.tape import Calls, call, constant, reduce_max


def clip(grad: Array, max_norm: Any) -> Calls:
    """g <- g max_norm / max(|g|, max_norm), with the Euclidean norm over all parameters.

    Source: Pascanu, Mikolov and Bengio, ICML 2013 (arXiv 1211.5063), algorithm 1.

    Parameters
    ----------
    grad : ndarray of shape lead + (P,)
    max_norm : float, or ndarray of shape lead + (1,)
        Above 0.

    Examples
    --------
    >>> from bpestimator.nn import play
    >>> grad = np.array([3.0, 4.0])
    >>> play(clip(grad, 1.0))
    >>> grad
    array([0.6, 0.8])
    """
    # Infinity over infinity would be no number.
    longest = constant(np.minimum(max_norm, np.finfo(grad.dtype).max), grad.dtype)
    relative = np.empty_like(grad)
    scale, largest = (np.empty((*grad.shape[:-1], 1), grad.dtype) for _ in range(2))
    # Relative to the largest entry, so that no square overflows.
    yield call(absolute, grad, relative)
    yield call(reduce_max, relative, -1, None, largest, True)
    yield call(maximum, largest, constant(np.finfo(grad.dtype).tiny, grad.dtype), out=largest)
    yield call(divide, grad, largest, relative)
    yield call(matmul, relative[..., None, :], relative[..., :, None], scale[..., None])
    yield call(sqrt, scale, scale)
    yield call(multiply, scale, largest, scale)
    yield call(maximum, scale, longest, out=scale)
    yield call(divide, longest, scale, scale)
    yield call(multiply, grad, scale, grad)
