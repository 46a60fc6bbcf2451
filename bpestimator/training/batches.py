"""Batches: rows in a new order in each epoch, gathered block by block into the same buffers."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.bias_trick import append_ones
from bpestimator.nn.kernels.buffers import empty_buffer
from bpestimator.nn.kernels.products import SparseRows
from bpestimator.training.blocks import BatchesInBlocks
from bpestimator.training.objective import Batch
from bpestimator.training.streams import RandomStream

# To append ones, the rows are copied once, unless they are larger than this: they may be a memmap.
COPIED_BYTES = 2**24
# Trying out whether ones change a bit takes as long as they save in so many steps.
EARNED_STEPS = 100


class Batches(BatchesInBlocks):
    """The batches of one model, or of several that take the same rows in the same order.

    Parameters
    ----------
    x : ndarray or sparse matrix of shape (n, features)
    y : ndarray of shape (n, outputs), or (n,) for labels
    weight : ndarray of shape (n,) or None
    batch_size : int
        At most the number of rows trained on.
    shuffle : bool
    rows : ndarray of int, default=None
        The rows to train on; None for all.
    epochs : int, default=1
        The most epochs to expect.
    first_units : int, default=0
        Units of the first layer, if the bias trick may be used for it, see
        :mod:`bpestimator.nn.kernels.bias_trick`; 0 if not.

    Attributes
    ----------
    y, weight : ndarray of shape (block_size, ...)
        The buffers of a block's targets and weights; weight may be None.
    all_x, all_y, all_weight : ndarray, or sparse matrix
        The data that blocks are gathered from; all_weight may be None.

    All others are those of :class:`bpestimator.training.blocks.BatchesInBlocks`.
    """

    def __init__(
        self,
        x: Any,
        y: Array,
        weight: Array | None,
        *,
        batch_size: int,
        shuffle: bool,
        rows: Array | None = None,
        epochs: int = 1,
        first_units: int = 0,
    ) -> None:
        self._shuffle, self._rows = shuffle, rows
        self._in_order = rows is None and not shuffle
        self._sparse = not isinstance(x, np.ndarray)
        n_rows = x.shape[0] if rows is None else rows.size
        n_steps = -(-n_rows // batch_size)
        few = epochs * n_steps < EARNED_STEPS
        without_ones = self._sparse or self._in_order or few or x.nbytes > COPIED_BYTES
        super().__init__(
            x,
            n_rows=n_rows,
            n_steps=n_steps,
            batch_size=batch_size,
            epochs=epochs,
            first_units=0 if without_ones else first_units,
            bytes_per_row=None if self._sparse else _bytes_per_row(x),
        )
        self.all_x, self.all_y, self.all_weight = x, y, weight
        self.y = np.empty((self.block_size, *y.shape[1:]), y.dtype)
        self.weight = None if weight is None else np.empty(self.block_size, weight.dtype)

    @property
    def n_rows_of_models(self) -> Any:
        return self.n_rows

    @cached_property
    def _source(self) -> Any:
        x = self.all_x
        if self._sparse:
            # Duplicate or unsorted entries would not survive the conversion to CSR.
            quick = x.format == "csc" and x.has_canonical_format
            return _CSCRows(x) if quick else _SparseRows(x)
        return _DenseRows(x, self.block_size, in_order=self._in_order, ones=self._n_ones)

    def _rows_by_part(self, start: int) -> tuple[int, ...]:
        return (min(self.block_size, self.n_rows - start),)

    def _batch_sizes(self) -> set[int]:
        return {self.batch_size, self.n_rows % self.batch_size} - {0}

    def _view(self, start: int, rows_by_part: tuple[int, ...]) -> Batch:
        (size,) = rows_by_part
        rows = slice(start, start + size)
        x = self._source.batch if self._sparse else self._source.buffer[rows]
        x = self._as_rows(x, size)
        weight = None if self.weight is None else self.weight[rows]
        return Batch(x, self.y[rows], weight, np.array(size, self._dtype))

    def by_batch(self, models: Any, rows: slice, count: int) -> tuple[Array, Array | None]:
        # ``models`` is ALL_MODELS: those that share these batches have no axis in y.
        y, weight = self.y[rows], self.weight
        y = y.reshape(count, -1, *y.shape[1:])
        return y, None if weight is None else weight[rows].reshape(count, -1)

    def first_order(self) -> Array:
        """The order of the rows before any shuffle."""
        return np.arange(self.n_rows)

    @property
    def rows_key(self) -> tuple[int, int]:
        """Equal for batches of the same rows of the same array."""
        return id(self.all_x), id(self._rows)

    def rows_at(self, places: Array) -> Array:
        """The rows of x at these places among the rows to train on."""
        return places if self._rows is None else self._rows.take(places)

    def _next_order(self, stream: RandomStream) -> Array:
        if stream.order is None:
            stream.order = self.first_order()
        if self._shuffle:
            stream.rng.shuffle(stream.order)
        return stream.order

    def _fill(self, places_of_streams: list[Array], rows_by_part: tuple[int, ...]) -> None:
        (places,) = places_of_streams  # models that share these batches share a stream
        rows = self.rows_at(places)
        # "clip" skips the check of the bounds: the places are a permutation we made.
        self._source.take(rows)
        self.all_y.take(rows, 0, self.y[: rows.size], "clip")
        if self.weight is not None and self.all_weight is not None:
            self.all_weight.take(rows, 0, self.weight[: rows.size], "clip")
            for batch in self.blocks[rows_by_part]:
                assert batch.weight is not None
                batch.total[...] = np.add.reduce(batch.weight)


def _bytes_per_row(x: Array) -> int:
    """What a row's numbers take, or how far the next is where a view has gaps, even backwards."""
    return int(max(x.shape[1] * x.itemsize, abs(x.strides[0])))


def _like(x: Array, rows: int) -> Array:
    """A buffer for rows of ``x``, laid out as they are: in C order, in Fortran's, or with gaps."""
    features = x.shape[1]
    gap, step = (stride // x.itemsize for stride in x.strides)
    if 0 < gap < step and not x.flags.c_contiguous:  # Fortran's order
        return empty_buffer((features, rows * gap), x.dtype).T[::gap]
    if step > 0 and features * step <= gap:
        return empty_buffer((rows, gap), x.dtype)[:, : features * step : step]
    return empty_buffer((rows, features), x.dtype)


class _DenseRows:
    """Rows of an array, copied into one buffer, and so many columns of ones."""

    def __init__(self, x: Array, size: int, *, in_order: bool, ones: int) -> None:
        # Unshuffled rows keep the array's memory order, on which BLAS's rounding may depend.
        # Gathering shuffled rows from another order would copy the whole array each time.
        self._x = x if in_order else append_ones(x, ones)
        self._in_order = in_order
        self.buffer = _like(self._x, size)

    def take(self, rows: Array) -> None:
        if self._in_order:
            np.copyto(self.buffer[: rows.size], self._x[rows[0] : rows[-1] + 1])
        else:
            self._x.take(rows, 0, self.buffer[: rows.size], "clip")


class _SparseRows:
    """Rows of a sparse matrix."""

    def __init__(self, x: Any) -> None:
        self._x = x
        self.batch = SparseRows()

    def take(self, rows: Array) -> None:
        self.batch.matrix = self._x[rows]


class _CSCRows:
    """Rows of a CSC matrix, as fast as those of CSR, with the entries in the order of CSC.

    Indexing a CSC matrix by rows reads all of it, and leaves the entries of each column in the
    matrix's order rather than the batch's. Products add up in that order, so it is kept: sums
    are then rounded as in scikit-learn.
    """

    def __init__(self, x: Any) -> None:
        self._x = x.tocsr()
        self.batch = SparseRows()

    def take(self, rows: Array) -> None:
        ascending = np.argsort(rows)
        batch = self._x[rows[ascending]].tocsc()
        indices = ascending[batch.indices].astype(batch.indices.dtype)
        self.batch.matrix = sp.csc_matrix((batch.data, indices, batch.indptr), shape=batch.shape)
