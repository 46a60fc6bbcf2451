"""Batches: rows in a new order in each epoch, gathered block by block into the same buffers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from math import ceil, sqrt
from typing import Any

import numpy as np
import scipy.sparse as sp

from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.bias_trick import (
    ExactColumns,
    append_ones,
    exact_columns,
    rows_with_ones,
)
from bpestimator.nn.kernels.buffers import empty_buffer
from bpestimator.nn.kernels.products import SparseRows
from bpestimator.training.objective import Batch, UnequalBatch
from bpestimator.training.streams import RandomStream

# A block of batches is gathered at once: large enough to spread the cost of a gather over
# several batches, small enough to stay in the second-level cache until its rows are used.
BLOCK_BYTES = 2**19
BLOCK_BATCHES = 256
# Recording a batch's step takes as long as filling so many blocks and computing their losses: so
# blocks are short where there are few epochs.
BLOCKS_PER_STEP = 5
# To append ones, the rows are copied once, unless they are larger than this: they may be a memmap.
COPIED_BYTES = 2**24
# Trying out whether ones change a bit takes as long as they save in so many steps.
EARNED_STEPS = 100


class Batches:
    """The training rows of one epoch after another.

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
    n_rows, n_steps, batch_size, block_size : int
        Rows of an epoch, its batches, rows of a batch, and of the largest block.
    n_rows_of_models : int, or ndarray of shape (models, 1)
        Rows of an epoch, of each model where they differ.
    blocks : dict of list of Batch
        The batches of a block, for each size that a block may have: views of buffers that every
        block overwrites. The size is a tuple of one number of rows.
    y, weight : ndarray of shape (rows of the largest block, ...)
        The buffers of the targets and of the weights; weight may be None.
    all_x, all_y, all_weight : ndarray, or sparse matrix
        The data that they are gathered from.
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
        self.batch_size = batch_size
        self.epochs = epochs
        self._shuffle = shuffle
        self._rows = rows
        self.n_rows = x.shape[0] if rows is None else rows.size
        self.n_steps = -(-self.n_rows // batch_size)
        self._sparse = not isinstance(x, np.ndarray)
        self.block_size = batch_size
        if not self._sparse:
            bytes_per_row = max(x.shape[1] * x.itemsize, abs(x.strides[0]))
            self.block_size = self._whole_batches(bytes_per_row)
        self.all_x, self.all_y, self.all_weight = x, y, weight
        self.y = np.empty((self.block_size, *y.shape[1:]), y.dtype)
        self.weight = None if weight is None else np.empty(self.block_size, weight.dtype)
        self._in_order = rows is None and not shuffle
        few = epochs * self.n_steps < EARNED_STEPS
        without = self._sparse or self._in_order or few or x.nbytes > COPIED_BYTES
        self.first_units = 0 if without else first_units

    # Made when training begins: batches that become part of a stack need no buffers.
    @cached_property
    def blocks(self) -> dict[tuple[int, ...], list[Batch | UnequalBatch]]:
        in_all = range(0, self.n_rows, self.block_size)
        return {
            sizes: [
                self._view(start, tuple(min(self.batch_size, size - start) for size in sizes))
                for start in range(0, max(sizes), self.batch_size)
            ]
            for sizes in {self._sizes_of_block(start) for start in in_all}
        }

    def _sizes_of_block(self, start: int) -> tuple[int, ...]:
        """The rows of the block that starts there."""
        return (min(self.block_size, self.n_rows - start),)

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

    @cached_property
    def _n_ones(self) -> int:
        """How many columns of ones the rows need, for either size of batch."""
        return max(chain.from_iterable(map(self._exact_columns, self._batch_sizes())))

    def _batch_sizes(self) -> set[int]:
        """The numbers of rows of a batch: one, and perhaps that of a shorter last batch."""
        return {self.batch_size, self.n_rows % self.batch_size} - {0}

    def _whole_batches(self, bytes_per_row: int) -> int:
        """Rows of a block: as many whole batches as fit, at least one, at most all."""
        fitting = int(BLOCK_BYTES // (bytes_per_row * self.batch_size))
        worth_it = ceil(sqrt(self.epochs * self.n_steps / BLOCKS_PER_STEP))
        return min(max(1, min(fitting, worth_it, BLOCK_BATCHES)) * self.batch_size, self.n_rows)

    def _exact_columns(self, size: int) -> ExactColumns:
        return exact_columns(size, self.all_x.shape[1], self.first_units, self.all_x.dtype)

    def _as_rows(self, x: Any, size: int) -> Any:
        """Rows of a batch of that size, as the network takes them."""
        if not self._n_ones:
            return x
        return rows_with_ones(x, self.all_x.shape[1], self._exact_columns(size))

    def _view(self, start: int, sizes: tuple[int, ...]) -> Batch | UnequalBatch:
        """One batch, as views of the buffers."""
        (size,) = sizes
        rows = slice(start, start + size)
        x = self._source.batch if self._sparse else self._source.buffer[rows]
        x = self._as_rows(x, size)
        weight = None if self.weight is None else self.weight[rows]
        return Batch(x, self.y[rows], weight, np.array(size, self.all_x.dtype))

    def by_batch(self, models: Any, rows: slice, count: int) -> tuple[Array, Array | None]:
        """The targets and weights of so many batches of one size, stacked along an axis.

        ``models`` is ``...`` for all, or a slice of them.
        """
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

    def epoch(self, streams: Sequence[RandomStream]) -> Iterator[tuple[int, ...]]:
        """Shuffle each stream's order in place, if rows are shuffled, and fill block after block.

        Parameters
        ----------
        streams : sequence of RandomStream
            One per model; here models share one.

        Yields
        ------
        sizes : tuple of int
            Key of the block in ``blocks`` that has just been filled.
        """
        orders = [self._next_order(stream) for stream in dict.fromkeys(streams)]
        for start in range(0, self.n_rows, self.block_size):
            sizes = self._sizes_of_block(start)
            self._fill([order[start : start + self.block_size] for order in orders], sizes)
            yield sizes

    def _next_order(self, stream: RandomStream) -> Array:
        if stream.order is None:
            stream.order = self.first_order()
        if self._shuffle:
            stream.rng.shuffle(stream.order)
        return stream.order

    def _fill(self, places_of_streams: list[Array], sizes: tuple[int, ...]) -> None:
        # "clip" skips the check of the bounds: the places are a permutation we made.
        rows = self.rows_at(*places_of_streams)
        self._source.take(rows)
        self.all_y.take(rows, 0, self.y[: rows.size], "clip")
        if self.weight is not None and self.all_weight is not None:
            self.all_weight.take(rows, 0, self.weight[: rows.size], "clip")
            for batch in self.blocks[sizes]:
                assert batch.weight is not None
                batch.total[...] = np.add.reduce(batch.weight)


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
