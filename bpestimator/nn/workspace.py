"""Workspace: every buffer that batches of one size need, made once.

A workspace is scratch. It belongs to the call that made it, never to a fitted estimator,
and no view of it may leave that call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bpestimator.nn.layout import Array, Shape, empty_buffer


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
    ) -> None:
        shapes = [(*lead, rows, width) for width in sizes[1:]]
        self.outputs: list[Array] = [empty_buffer(shape, dtype) for shape in shapes]
        self.deltas: list[Array] = []
        if backward:
            self.deltas = [empty_buffer(shape, dtype) for shape in shapes[:-1]]
            self.deltas.append(self.outputs[-1])
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
            self._slopes[key] = empty_buffer(output.shape, output.dtype)
        return self._slopes[key]

    def mask(self, layer: int, inputs: Array, lead: Shape) -> Array:
        """Have the inputs of a layer multiplied with a mask from now on; the mask's buffer."""
        if layer not in self.masks:
            dtype, shape = self.outputs[0].dtype, (*lead, *inputs.shape[-2:])
            self.masks[layer] = empty_buffer(shape, dtype)
            self.masked[layer] = empty_buffer(np.broadcast_shapes(inputs.shape, shape), dtype)
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
        self._taken += 1
        return self._extra[self._taken - 1]

    def zeros(self, shape: Shape, dtype: Any) -> Array:
        """A buffer full of zeros, to be read only."""
        array = self.empty(shape, dtype)
        array.fill(0)
        return array
