"""Workspace: every buffer that batches of one size need, made once.

A workspace is scratch. It belongs to the call that made it, never to a fitted estimator,
and no view of it may leave that call.

Of models in lockstep, layers lie row by row in memory: the units of all models for the first
row of the batch, then those for the second. What is the same for every row, the biases, then
meets one long run of numbers, and not one run for each model: sums over the batch and
additions to it take half the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bpestimator.nn.layout import Array, Shape, buffer_like, empty_buffer

# Of fewer units, gaps between the rows change the last bit: a single column in one piece is summed
# in another order by NumPy, and two or three columns times a vector by OpenBLAS.
NARROW = 4


class Workspace:
    """Buffers for batches of ``rows`` rows, for the forward pass or for both.

    Attributes
    ----------
    outputs : list of ndarray of shape lead + (rows, width)
        a_1 ... a_L, each layer's outputs; the last are the raw outputs.
    deltas : list of ndarray
        d loss / d z_k, of the same shapes. The last *is* the raw outputs' buffer: a loss
        turns raw outputs into their delta in place. Empty unless ``backward``.
    masks, masked : dict of ndarray
        For layers with dropout: what their inputs are multiplied with, and the products.
    in_parts : bool
        Whether large products may be taken some rows at a time, which may round otherwise.

    Further buffers are made on request, and again the same ones, in the same order, after
    :meth:`rewind`: all batches of one size share them.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        rows: int,
        lead: Shape = (),
        dtype: Any = np.float64,
        backward: bool = True,
        in_parts: bool = False,
    ) -> None:
        self.in_parts = in_parts
        shapes = [(*lead, rows, width) for width in sizes[1:]]
        buffer = _row_by_row if lead else empty_buffer
        self.outputs: list[Array] = [buffer(shape, dtype) for shape in shapes]
        self.deltas: list[Array] = []
        if backward:
            self.deltas = [buffer(shape, dtype) for shape in shapes[:-1]] + self.outputs[-1:]
        self._slopes: dict[tuple[int, str], Array] = {}
        self.masks: dict[int, Array] = {}
        self.masked: dict[int, Array] = {}
        self._extra: list[Array] = []
        self._taken = 0

    def slope(self, output: Array, part: str = "") -> Array | None:
        """The buffer in which one of ``outputs`` hands its derivative from forward to backward.

        None in a workspace for the forward pass alone. A function made of two has two parts.
        """
        if not self.deltas:
            return None
        key = (id(output), part)
        if key not in self._slopes:
            self._slopes[key] = buffer_like(output)
        return self._slopes[key]

    def mask(self, layer: int, inputs: Array, lead: Shape) -> Array:
        """Have the inputs of a layer multiplied with a mask from now on; the mask's buffer."""
        if layer not in self.masks:
            dtype, shape = self.outputs[0].dtype, (*lead, *inputs.shape[-2:])
            together = np.broadcast_shapes(inputs.shape, shape)
            self.masks[layer], self.masked[layer] = (
                buffer_like(inputs, dtype)
                if wanted == inputs.shape
                else empty_buffer(wanted, dtype)
                for wanted in (shape, together)
            )
        return self.masks[layer]

    @property
    def taken(self) -> int:
        """How many further buffers are in use."""
        return self._taken

    def rewind(self, taken: int = 0) -> None:
        """Let the requests that follow have the buffers of the earlier ones, but for the first."""
        self._taken = taken

    def empty(self, shape: Shape, dtype: Any) -> Array:
        """A buffer with arbitrary contents."""
        if self._taken == len(self._extra):
            self._extra.append(empty_buffer(shape, dtype))
        return self._next()

    def like(self, array: Array, dtype: Any = None) -> Array:
        """A buffer with arbitrary contents, in shape and memory as another."""
        if self._taken == len(self._extra):
            self._extra.append(buffer_like(array, dtype))
        return self._next()

    def row_by_row(self, array: Array) -> Array:
        """A buffer with arbitrary contents, of an array's shape, in memory as layers are."""
        if self._taken == len(self._extra):
            self._extra.append(_row_by_row(array.shape, array.dtype, narrow=0))
        return self._next()

    def zeros(self, shape: Shape, dtype: Any) -> Array:
        """A buffer full of zeros, for as long as nobody writes to it."""
        zeros = self.empty(shape, dtype)
        zeros.fill(0)
        return zeros

    def _next(self) -> Array:
        self._taken += 1
        return self._extra[self._taken - 1]


def _row_by_row(shape: Shape, dtype: Any, narrow: int = NARROW) -> Array:
    """A buffer for the units of all models, a row of the batch after the other."""
    *lead, rows, width = shape
    if width < narrow:
        return empty_buffer(shape, dtype)
    return np.moveaxis(empty_buffer((rows, *lead, width), dtype), 0, -2)
