"""Batches: rows in a new order each epoch, gathered into buffers made once."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from bpestimator.nn.layout import Array
from bpestimator.training.objective import Batch


class _DenseRows:
    """Rows of an array, copied into a buffer per batch size."""

    def __init__(self, x: Array) -> None:
        self._x = x
        self._buffers: dict[int, Array] = {}

    def take(self, rows: Array) -> Array:
        buffer = self._buffers.get(rows.size)
        if buffer is None:
            shape = (rows.size, self._x.shape[1])
            buffer = self._buffers[rows.size] = np.empty(shape, self._x.dtype)
        # "clip" skips the check of the bounds: the rows are a permutation we made.
        self._x.take(rows, 0, buffer, "clip")
        return buffer


class _CSRRows:
    def __init__(self, x: Any) -> None:
        self._x = x

    def take(self, rows: Array) -> Any:
        return self._x[rows]


class _CSCRows:
    """Rows of a CSC matrix, as fast as CSR and entry for entry what CSC indexing gives.

    Indexing a CSC matrix by rows reads all of it. It leaves each column's entries in the
    matrix's order rather than the batch's, and products follow that order: kept, so that
    sums round as they do in scikit-learn.
    """

    def __init__(self, x: Any) -> None:
        self._x = x.tocsr()

    def take(self, rows: Array) -> Any:
        ascending = np.argsort(rows)
        batch = self._x[rows[ascending]].tocsc()
        indices = ascending[batch.indices].astype(batch.indices.dtype)
        return sp.csc_matrix((batch.data, indices, batch.indptr), shape=batch.shape)


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
    n_rows : int
    bounds : list of (start, stop)
        Where each batch lies in the epoch.
    y, weight : ndarray
        In the epoch's order.
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
        self._all_x, self._all_y, self._all_weight = x, y, weight
        self._shuffle = shuffle
        self._rows = rows
        self.n_rows = x.shape[0] if rows is None else rows.size
        self.bounds = [
            (start, min(start + batch_size, self.n_rows))
            for start in range(0, self.n_rows, batch_size)
        ]
        self._in_place = rows is None and not shuffle
        if isinstance(x, np.ndarray):
            # A gather from another layout would copy the whole array every time.
            self._source: Any = _DenseRows(x if self._in_place else np.ascontiguousarray(x))
        else:
            self._source = _CSCRows(x) if x.format == "csc" else _CSRRows(x)
        self.y, self.weight = y, weight
        if not self._in_place:
            self.y = np.empty((self.n_rows, *y.shape[1:]), y.dtype)
            if weight is not None:
                self.weight = np.empty(self.n_rows, weight.dtype)

    @property
    def sizes(self) -> set[int]:
        """The batch sizes that occur: one, or two if the last batch is shorter."""
        return {stop - start for start, stop in self.bounds}

    def first_order(self) -> Array:
        """The rows as given, before any shuffle."""
        return np.arange(self.n_rows) if self._rows is None else self._rows.copy()

    def start_epoch(self, order: Array, rng: np.random.RandomState) -> None:
        """Shuffle ``order`` in place, if rows are shuffled, and put the targets in it."""
        self._order = order
        if self._shuffle:
            rng.shuffle(order)
        if not self._in_place:
            self._all_y.take(order, 0, self.y, "clip")
            if self._all_weight is not None and self.weight is not None:
                self._all_weight.take(order, 0, self.weight, "clip")

    def batch(self, start: int, stop: int) -> Batch:
        """Rows ``start`` to ``stop`` of the epoch; the next call may overwrite them."""
        if self._in_place:
            x = self._all_x[start:stop]
        else:
            x = self._source.take(self._order[start:stop])
        y = self.y[start:stop]
        if self.weight is None:
            return Batch(x, y, None, stop - start)
        weight = self.weight[start:stop]
        return Batch(x, y, weight, weight.sum())
