"""Parameters: one flat array, and the weights and biases of each layer as views of it.

All weights come first, from the last layer to the first, then all biases, from the first
layer on. One array: an optimizer needs few passes. And the L2 penalty, which spares the biases,
concerns one slice of it. The first layer's biases follow its weights: together they are the
weights of rows that end in a one, see :mod:`bpestimator.nn.kernels.bias_trick`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.buffers import empty_buffer


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

    def astype(self, dtype: Any) -> Views:
        """The same numbers in another dtype; what has it already is not copied."""
        weights, biases = (
            [array.astype(dtype, copy=False) for array in arrays]
            for arrays in (self.weights, self.biases)
        )
        return Views(weights, biases)


class Layout:
    """Where each layer's weights and biases lie in the flat array.

    Parameters
    ----------
    sizes : sequence of int
        Units per layer, inputs first, outputs last.
    from_first : bool, default=False
        Whether weights, too, go from the first layer to the last: scikit-learn's order.

    Examples
    --------
    >>> import numpy as np
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
        slices = [flat[..., start:end] for start, end in pairwise(offsets)]
        weights = [one.reshape(lead + shape) for one, shape in zip(slices, shapes, strict=False)]
        biases = [one[..., None, :] for one in slices[len(weights) :]]
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
        for view, array in zip(views.weights + views.biases, [*coefs, *intercepts], strict=True):
            view[...] = array
        return flat


def move(flat: Array, source: Layout, target: Layout) -> Array:
    """A new array with the same parameters of one model, in the order of another layout."""
    weights, biases, _ = source.bind(flat)
    return target.pack(weights, biases, flat.dtype)
