"""Buffers: arrays that are made once, aligned with the cache and in the order that is quickest."""

from __future__ import annotations

from typing import Any

import numpy as np

from bpestimator.nn.arrays import Array, Shape

CACHE_LINE = 64
# For smaller arrays, finding the address takes longer than a step gains.
ALIGNED_BYTES = 2048

# A stretch of so many numbers stays in the first-level cache; below SHORT_STRETCH the overhead of
# a stretch is as long as its computation.
STRETCH = 4096
SHORT_STRETCH = 1024


def empty_buffer(shape: Shape | int, dtype: Any) -> Array:
    """An uninitialised array that starts on a cache line, unless it is small.

    On other arrays, such as most from ``np.empty``, every vector instruction loads from two cache
    lines: elementwise functions take an eighth longer, sums over rows up to two thirds.
    """
    array: Array = np.empty(shape, dtype)
    n_bytes = array.nbytes
    if n_bytes < ALIGNED_BYTES:
        return array
    del array  # never touched, so it has cost nothing
    raw = np.empty(n_bytes + CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % CACHE_LINE
    aligned: Array = raw[start : start + n_bytes].view(dtype).reshape(shape)
    return aligned


def zeros_buffer(shape: Shape | int, dtype: Any) -> Array:
    """As :func:`empty_buffer`, filled with zeros."""
    array = empty_buffer(shape, dtype)
    array.fill(0)
    return array


def buffer_like(array: Array, dtype: Any = None) -> Array:
    """As :func:`empty_buffer`, with the shape and the memory order of an array."""
    dtype = array.dtype if dtype is None else dtype
    if array.flags.c_contiguous:
        return empty_buffer(array.shape, dtype)
    order = _axes_in_memory(array)
    shape = tuple(array.shape[axis] for axis in order)
    return empty_buffer(shape, dtype).transpose(np.argsort(order))


def in_memory(array: Array) -> tuple[Array, Array]:
    """The entries of an array without gaps in the order of memory, and each entry's index there.

    Returns
    -------
    entries : ndarray of shape (array.size,)
        A view.
    places : ndarray of int, of the array's shape
        ``entries[places]`` is the array.
    """
    order = _axes_in_memory(array)
    ordered = array.transpose(order)
    places = np.arange(array.size).reshape(ordered.shape).transpose(np.argsort(order))
    return ordered.reshape(-1), places


def in_stretches(array: Array) -> Array:
    """A view of the entries of an array without gaps in the order of memory, a stretch a row.

    A stretch consists of whole rows of the array and stays in the first-level cache. Where no such
    number of rows divides theirs, all of them are one stretch.
    """
    width = array.shape[-1]
    rows = array.size // width
    together = max(1, min(rows, STRETCH // width))
    while rows % together:
        together -= 1
    stretch = together * width if together * width >= SHORT_STRETCH else array.size
    ordered = array if array.flags.c_contiguous else array.transpose(_axes_in_memory(array))
    return ordered.reshape(-1, stretch)


def _axes_in_memory(array: Array) -> list[int]:
    """The axes of an array, the one of the longest strides first."""
    return sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
