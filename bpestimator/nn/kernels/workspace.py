"""Workspace: every buffer that batches of one size need, made once.

A workspace is scratch. It belongs to the call that made it, never to a fitted estimator,
and no view of it may leave that call.

With several models, layers lie row by row in memory: the units of all models for the first
row of the batch, then those for the second. So one model's rows lie K width numbers apart. Biases,
which are the same for every row, are then added to one long stretch of numbers rather than to one
for each model: additions and sums over the batch take half the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bpestimator.nn.arrays import Array, Shape
from bpestimator.nn.kernels.buffers import buffer_like, empty_buffer

# With fewer units, gaps between a model's rows change the last bit: NumPy sums a single column
# without gaps in another order, and so does OpenBLAS with two or three columns times a vector.
NARROW = 4


class Workspace:
    """Buffers for batches of ``rows`` rows, for the forward pass or for both.

    Attributes
    ----------
    outputs : list of ndarray of shape lead + (rows, width)
        Each layer's outputs: ``outputs[k]`` is first z_k, then a_(k+1), the inputs of the next
        layer. The last holds the raw outputs.
    deltas : list of ndarray
        ``deltas[k]`` is d loss / d z_k, of the shape of ``outputs[k]``. The last *is* the raw
        outputs' buffer: a loss turns raw outputs into their delta in place. Empty unless
        ``backward``.
    masks, masked : dict of ndarray
        For each layer with dropout, the mask of its inputs, of shape (..., rows, fan_in), where
        models may share one; and the product of both, of shape lead + (rows, fan_in).
    splits_products : bool
        Whether large products may be computed some rows at a time, which may round differently.

    Further buffers are made on request. After :meth:`rewind`, requests get the same buffers
    again, in the same order, so that all batches of one size share them: they must ask for the
    same shapes and dtypes, in the same order.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        rows: int,
        lead: Shape = (),
        dtype: Any = np.float64,
        backward: bool = True,
        splits_products: bool = False,
    ) -> None:
        self.splits_products = splits_products
        shapes = [(*lead, rows, width) for width in sizes[1:]]
        buffer = _row_by_row if lead else empty_buffer
        self.outputs: list[Array] = [buffer(shape, dtype) for shape in shapes]
        self.deltas: list[Array] = []
        if backward:
            self.deltas = [buffer(shape, dtype) for shape in shapes[:-1]] + self.outputs[-1:]
        self._derivatives: dict[tuple[int, str], Array] = {}
        self.masks: dict[int, Array] = {}
        self.masked: dict[int, Array] = {}
        self._extra: list[Array] = []
        self._taken = 0

    def derivative(self, output: Array, name: str = "") -> Array | None:
        """The buffer that holds f'(z) of one of ``outputs`` from its forward to its backward pass.

        None in a workspace for the forward pass alone. An activation made of two keeps a buffer
        by another ``name`` for each.
        """
        if not self.deltas:
            return None
        key = (id(output), name)
        if key not in self._derivatives:
            self._derivatives[key] = buffer_like(output)
        return self._derivatives[key]

    def mask(self, layer: int, inputs: Array, lead: Shape) -> Array:
        """The buffer of a layer's mask, which multiplies the layer's inputs from now on.

        Of shape ``lead + (rows, fan_in)``, where ``lead`` may be () though there are many models.
        """
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
        """Give the buffers after the first ``taken`` again to the requests that follow."""
        self._taken = taken

    def empty(self, shape: Shape, dtype: Any) -> Array:
        """A buffer with arbitrary contents."""
        if self._taken < len(self._extra):
            return self._again(shape, dtype)
        return self._new(empty_buffer(shape, dtype))

    def like(self, array: Array, dtype: Any = None) -> Array:
        """A buffer with arbitrary contents, with the shape and the memory order of an array."""
        if self._taken < len(self._extra):
            return self._again(array.shape, array.dtype if dtype is None else dtype)
        return self._new(buffer_like(array, dtype))

    def row_by_row(self, array: Array) -> Array:
        """A buffer with arbitrary contents, with an array's shape, row by row in memory."""
        if self._taken < len(self._extra):
            return self._again(array.shape, array.dtype)
        return self._new(_row_by_row(array.shape, array.dtype, narrow=0))

    def zeros(self, shape: Shape, dtype: Any) -> Array:
        """A buffer of zeros, not to be written to."""
        zeros = self.empty(shape, dtype)
        zeros.fill(0)
        return zeros

    def _new(self, buffer: Array) -> Array:
        self._extra.append(buffer)
        self._taken += 1
        return buffer

    def _again(self, shape: Shape, dtype: Any) -> Array:
        """The buffer that the same request got before the workspace was rewound."""
        buffer = self._extra[self._taken]
        self._taken += 1
        if buffer.shape != shape or buffer.dtype != dtype:
            self._check_alike(buffer, np.empty(shape, dtype))  # shape may be a list or an int
        return buffer

    def _check_alike(self, buffer: Array, wanted: Array) -> None:
        if buffer.shape != wanted.shape or buffer.dtype != wanted.dtype:
            raise RuntimeError(
                f"After rewind, request {self._taken} of a workspace is for {wanted.dtype} of "
                f"shape {wanted.shape}, but was for {buffer.dtype} of shape {buffer.shape} before: "
                "ask for the same buffers in the same order each time."
            )


def _row_by_row(shape: Shape, dtype: Any, narrow: int = NARROW) -> Array:
    """A buffer for the units of all models, one row of the batch after the other in memory."""
    *lead, rows, width = shape
    if width < narrow:
        return empty_buffer(shape, dtype)
    return np.moveaxis(empty_buffer((rows, *lead, width), dtype), 0, -2)
