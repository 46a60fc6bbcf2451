"""Batches: rows in a new order each epoch, gathered block by block into buffers made once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from bpestimator.nn.layout import Array, empty_buffer
from bpestimator.nn.network import SparseRows
from bpestimator.nn.tape import reduce_sum
from bpestimator.training.objective import Batch

# A block is gathered at once: large enough to spread the cost of a gather over several
# batches, small enough to stay in the second-level cache until its rows are used.
BLOCK_BYTES = 2**20
BLOCK_BATCHES = 256


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

    Attributes
    ----------
    n_rows, n_steps, batch_size, block_size : int
        Rows of an epoch, its batches, rows of a batch, and of the largest block.
    blocks : dict of list of Batch
        For each number of rows that a block of batches may have, its batches: views of
        buffers that every block fills anew.
    y, weight : ndarray of shape (rows of the largest block, ...)
        The buffers of the targets and of the weights; weight may be None.
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
    ) -> None:
        self.batch_size = batch_size
        self._shuffle = shuffle
        self._rows = rows
        self.n_rows = x.shape[0] if rows is None else rows.size
        self.n_steps = -(-self.n_rows // batch_size)
        self._sparse = not isinstance(x, np.ndarray)
        self.block_size = self._whole_batches(x, batch_size)
        self._all_y, self._all_weight = y, weight
        self.y = np.empty((self.block_size, *y.shape[1:]), y.dtype)
        self.weight = None if weight is None else np.empty(self.block_size, weight.dtype)
        self._source = self._source_of(x, in_order=rows is None and not shuffle)
        self.blocks = self._cut(x.dtype)

    def _cut(self, dtype: Any) -> dict[int, list[Batch]]:
        """The batches of each block that there may be."""
        return {
            size: [
                self._view(start, min(self.batch_size, size - start), dtype)
                for start in range(0, size, self.batch_size)
            ]
            for size in {self.block_size, self.n_rows % self.block_size} - {0}
        }

    def _whole_batches(self, x: Any, batch_size: int) -> int:
        """Rows of a block: as many whole batches as fit, at least one, at most all."""
        if self._sparse:
            return batch_size
        bytes_per_row = max(x.shape[1] * x.itemsize, abs(x.strides[0]))
        fitting = int(BLOCK_BYTES // (bytes_per_row * batch_size))
        return min(max(1, min(fitting, BLOCK_BATCHES)) * batch_size, self.n_rows)

    def _source_of(self, x: Any, *, in_order: bool) -> Any:
        if self._sparse:
            # Duplicate or unsorted entries would not survive the detour through CSR.
            quick = x.format == "csc" and x.has_canonical_format
            return _CSCRows(x) if quick else _SparseRows(x)
        return _DenseRows(x, self.block_size, in_order=in_order)

    def _view(self, start: int, size: int, dtype: Any) -> Batch:
        """One batch, as views of the buffers."""
        rows = slice(start, start + size)
        x = self._source.batch if self._sparse else self._source.buffer[rows]
        weight = None if self.weight is None else self.weight[rows]
        return Batch(x, self.y[rows], weight, np.array(size, dtype))

    def by_batch(self, rows: slice, count: int) -> tuple[Array, Array | None]:
        """The targets and weights of so many batches of one size, a batch along each entry."""
        y, weight = self.y[rows], self.weight
        y = y.reshape(count, -1, *y.shape[1:])
        return y, None if weight is None else weight[rows].reshape(count, -1)

    def of(self, models: Array) -> Batches:
        """Batches for some of the models."""
        return self

    def first_order(self) -> Array:
        """The rows as given, before any shuffle."""
        return np.arange(self.n_rows) if self._rows is None else self._rows.copy()

    def epoch(self, order: Array, rng: np.random.RandomState) -> Iterator[int]:
        """Shuffle ``order`` in place, if rows are shuffled, and fill block after block.

        Yields
        ------
        rows : int
            Key of the block in ``blocks`` that has just been filled.
        """
        if self._shuffle:
            rng.shuffle(order)
        for start in range(0, self.n_rows, self.block_size):
            rows = order[start : start + self.block_size]
            self._fill(rows)
            yield rows.size

    def _fill(self, rows: Array) -> None:
        # "clip" skips the check of the bounds: the rows are a permutation we made.
        self._source.take(rows)
        self._all_y.take(rows, 0, self.y[: rows.size], "clip")
        if self.weight is not None and self._all_weight is not None:
            self._all_weight.take(rows, 0, self.weight[: rows.size], "clip")
            for batch in self.blocks[rows.size]:
                batch.total[...] = reduce_sum(batch.weight)


class FoldBatches(Batches):
    """Rows of data sets of one length, in one order; each model has a data set of its own.

    Parameters
    ----------
    x : list of ndarray of shape (n, features)
        Model by model. An array that serves several models is gathered once.
    y : list of ndarray of shape (n, ...)
    batch_size : int
    shuffle : bool
    """

    def __init__(self, x: list[Array], y: list[Array], *, batch_size: int, shuffle: bool) -> None:
        self.batch_size, self._shuffle, self._rows = batch_size, shuffle, None
        self._sparse = False
        self.n_rows = x[0].shape[0]
        self.n_steps = -(-self.n_rows // batch_size)
        self.block_size = self._whole_batches(x[0], batch_size)
        self._of_x, self._of_y = _SharedRows(x, self.block_size), _SharedRows(y, self.block_size)
        self.y, self.weight = self._of_y.buffer, None
        self.blocks = self._cut(x[0].dtype)

    def _view(self, start: int, size: int, dtype: Any) -> Batch:
        rows = slice(start, start + size)
        return Batch(self._of_x.buffer[:, rows], self.y[:, rows], None, np.array(size, dtype))

    def by_batch(self, rows: slice, count: int) -> tuple[Array, Array | None]:
        y = self.y[:, rows]
        return y.reshape(len(y), count, -1, *y.shape[2:]), None

    def of(self, models: Array) -> Batches:
        x, y = ([shared.arrays[k] for k in models] for shared in (self._of_x, self._of_y))
        return FoldBatches(x, y, batch_size=self.batch_size, shuffle=self._shuffle)

    def _fill(self, rows: Array) -> None:
        self._of_x.take(rows)
        self._of_y.take(rows)


class _SharedRows:
    """Rows of arrays of one shape, one array a model, copied into one buffer."""

    def __init__(self, arrays: list[Array], size: int) -> None:
        self.arrays = arrays
        distinct = {id(array): array for array in arrays}
        self._distinct = [np.ascontiguousarray(array) for array in distinct.values()]
        self._which = np.array([list(distinct).index(id(array)) for array in arrays])
        shape, dtype = (size, *arrays[0].shape[1:]), arrays[0].dtype
        self._once = empty_buffer((len(distinct), *shape), dtype)
        self.buffer = empty_buffer((len(arrays), *shape), dtype)

    def take(self, rows: Array) -> None:
        for array, once in zip(self._distinct, self._once, strict=True):
            array.take(rows, 0, once[: rows.size], "clip")
        self._once[:, : rows.size].take(self._which, 0, self.buffer[:, : rows.size], "clip")


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
    """Rows of an array, copied into one buffer."""

    def __init__(self, x: Array, size: int, *, in_order: bool) -> None:
        # Unshuffled rows keep the array's layout, which may decide how BLAS rounds; a
        # gather of shuffled ones from another layout would copy the whole array each time.
        self._x = x if in_order else np.ascontiguousarray(x)
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
    """Rows of a CSC matrix, as fast as CSR and entry for entry what CSC indexing gives.

    Indexing a CSC matrix by rows reads all of it. It leaves each column's entries in the
    matrix's order rather than the batch's, and products follow that order: kept, so that
    sums round as they do in scikit-learn.
    """

    def __init__(self, x: Any) -> None:
        self._x = x.tocsr()
        self.batch = SparseRows()

    def take(self, rows: Array) -> None:
        ascending = np.argsort(rows)
        batch = self._x[rows[ascending]].tocsc()
        indices = ascending[batch.indices].astype(batch.indices.dtype)
        self.batch.matrix = sp.csc_matrix((batch.data, indices, batch.indptr), shape=batch.shape)
