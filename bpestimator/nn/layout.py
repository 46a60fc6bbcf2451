"""Layout: one flat parameter array, and the weights and biases that are views of it.

All weights come first, from the last layer to the first, then all biases, from the first
layer on. An optimizer is then a few passes over one array; the L2 penalty, which spares the
biases, concerns one slice; and the first layer's biases follow its weights: together they are
the weights of rows that end in a one, see :mod:`bpestimator.nn.ones`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


CACHE_LINE = 64
# Finding a smaller array's address takes longer than a step gains from it.
ALIGNED_BYTES = 2048

# Numbers that stay in the first-level cache, and so few that starting on them takes as long.
RUN = 4096
SHORT_RUN = 1024


def empty_buffer(shape: Shape | int, dtype: Any) -> Array:
    """An uninitialised array that starts on a cache line, unless it is small.

    Vector instructions on arrays that do not, as most from ``np.empty``, straddle two lines
    at every load: elementwise passes take an eighth longer, sums over rows up to two thirds.
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
    """As :func:`empty_buffer`, of an array's shape, with its axes in the same order in memory."""
    dtype = array.dtype if dtype is None else dtype
    if array.flags.c_contiguous:
        return empty_buffer(array.shape, dtype)
    order = _axes_in_memory(array)
    shape = tuple(array.shape[axis] for axis in order)
    return empty_buffer(shape, dtype).transpose(np.argsort(order))


def in_memory(array: Array) -> tuple[Array, Array]:
    """The entries of an array without gaps, in the order of memory, and the place of each there.

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


def in_runs(array: Array) -> Array:
    """The entries of an array without gaps, in the order of memory, a run in each row of a view.

    A run is some whole rows of the array, so many that it stays in the first-level cache; all of
    them where no such number divides theirs.
    """
    width = array.shape[-1]
    rows = array.size // width
    together = max(1, min(rows, RUN // width))
    while rows % together:
        together -= 1
    run = together * width if together * width >= SHORT_RUN else array.size
    ordered = array if array.flags.c_contiguous else array.transpose(_axes_in_memory(array))
    return ordered.reshape(-1, run)


def _axes_in_memory(array: Array) -> list[int]:
    """The axes of an array, the one of the longest strides first."""
    return sorted(range(array.ndim), key=lambda axis: -array.strides[axis])


class Views(NamedTuple):
    """The parameters, or their gradient, layer by layer; every entry a view of one array.

    weights : arrays of shape ``lead + (fan_in, fan_out)``
    biases : arrays of shape ``lead + (1, fan_out)``, a row that adds to every row of a batch
    first : array of shape ``lead + (fan_in + 1, fan_out)``, the first layer's weights and, below
        them, its biases; None where these do not lie together
    """

    weights: list[Array]
    biases: list[Array]
    first: Any = None


class Layout:
    """Where each layer's weights and biases lie in the flat array.

    Parameters
    ----------
    sizes : sequence of int
        Units per layer, inputs first, outputs last.
    from_first : bool, default=False
        Whether weights, too, go from the first layer on, which is scikit-learn's order.

    Examples
    --------
    >>> layout = Layout((3, 4, 2))
    >>> layout.n_weights, layout.n_parameters
    (20, 26)
    >>> [w.shape for w in layout.bind(np.zeros(26)).weights]
    [(3, 4), (4, 2)]
    """

    def __init__(self, sizes: Sequence[int], *, from_first: bool = False) -> None:
        self.sizes = tuple(int(size) for size in sizes)
        self.weight_shapes = list(pairwise(self.sizes))
        self._from_first = from_first

    @cached_property
    def n_weights(self) -> int:
        return sum(fan_in * fan_out for fan_in, fan_out in self.weight_shapes)

    @cached_property
    def n_parameters(self) -> int:
        return self.n_weights + sum(self.sizes[1:])

    def bind(self, flat: Array) -> Views:
        """The layers of a flat array of shape ``lead + (n_parameters,)``, as views of it."""
        lead = flat.shape[:-1]
        shapes = self.weight_shapes if self._from_first else self.weight_shapes[::-1]
        lengths = [fan_in * fan_out for fan_in, fan_out in shapes]
        offsets = list(accumulate([*lengths, *self.sizes[1:]], initial=0))
        parts = [flat[..., start:end] for start, end in pairwise(offsets)]
        weights = [part.reshape(lead + shape) for part, shape in zip(parts, shapes, strict=False)]
        biases = [part[..., None, :] for part in parts[len(weights) :]]
        if self._from_first:
            return Views(weights, biases)
        fan_in, fan_out = self.weight_shapes[0]
        start = self.n_weights - fan_in * fan_out
        first = flat[..., start : self.n_weights + fan_out]
        return Views(weights[::-1], biases, first.reshape((*lead, fan_in + 1, fan_out)))

    def pack(self, coefs: Sequence[Array], intercepts: Sequence[Array], dtype: Any) -> Array:
        """A new flat array from separate weights and biases of one model."""
        flat = empty_buffer(self.n_parameters, dtype)
        views = self.bind(flat)
        for view, part in zip(views.weights + views.biases, [*coefs, *intercepts], strict=True):
            view[...] = part
        return flat


def move(flat: Array, source: Layout, target: Layout) -> Array:
    """A new array with the same parameters of one model, laid out anew."""
    weights, biases, _ = source.bind(flat)
    return target.pack(weights, biases, flat.dtype)
