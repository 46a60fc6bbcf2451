"""Batches for models in lockstep that differ in their rows, or in their order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.bias_trick import append_ones
from bpestimator.nn.kernels.buffers import empty_buffer
from bpestimator.nn.kernels.products import SharedRows
from bpestimator.training.batches import Batches
from bpestimator.training.objective import Batch
from bpestimator.training.streams import RandomStream

# A batch up to this size is copied for each of the models that share it, which takes less time than
# a product for each data set.
REPEATED_BYTES = 4096


class StackedBatches(Batches):
    """The batches of several models that train in lockstep.

    A data set that several models take in the same order is gathered once.

    Parameters
    ----------
    members : sequence of Batches
        One per model: of dense rows, alike in number, width, type and batch size. Weights, if
        there are any, are above 0.
    streams : sequence of RandomStream
        One per model; those that :meth:`epoch` will be called with.
    as_array : bool, default=False
        Whether the rows of a batch have to be one array.
    """

    def __init__(
        self,
        members: Sequence[Batches],
        streams: Sequence[RandomStream],
        *,
        as_array: bool = False,
    ) -> None:
        first = members[0]
        self._first_orders = dict(zip(streams, members, strict=True))
        self.batch_size, self._shuffle = first.batch_size, first._shuffle
        self.epochs = first.epochs
        self.all_x, self.first_units = first.all_x, first.first_units
        self.n_rows, self.n_steps = first.n_rows, first.n_steps
        numbers = {stream: number for number, stream in enumerate(dict.fromkeys(streams))}
        of_models = [numbers[stream] for stream in streams]
        n_distinct = len({(id(one.all_x), k) for one, k in zip(members, of_models, strict=True)})
        bytes_per_row = first.all_x.shape[1] * first.all_x.itemsize
        self.block_size = self._whole_batches(bytes_per_row * n_distinct)

        def gathered(arrays: list[Array], ones: int = 0) -> _Gathered:
            return _Gathered(arrays, of_models, self.block_size, ones=ones)

        self._x = gathered([one.all_x for one in members], ones=self._n_ones)
        large = self.batch_size * bytes_per_row > REPEATED_BYTES
        self._shared = large and self._x.has_sharers and not as_array
        self._y = gathered([one.all_y for one in members])
        self.y, self.weight, self._weight = self._y.repeated, None, None
        weights = [one.all_weight for one in members if one.all_weight is not None]
        if weights:
            self._weight = gathered(weights)
            self.weight = self._weight.repeated

    def _view(self, start: int, size: int) -> Batch:
        dtype = self.all_x.dtype
        rows = slice(start, start + size)
        y = self.y[:, rows]
        x = self._x.shared(rows) if self._shared else self._x.repeated[:, rows]
        x = self._as_rows(x, size)
        if self.weight is None:
            return Batch(x, y, None, np.array(size, dtype))
        return Batch(x, y, self.weight[:, rows], np.empty((len(y), 1), dtype))

    def by_batch(self, rows: slice, count: int) -> tuple[Array, Array | None]:
        y, weight = self.y[:, rows], self.weight
        y = y.reshape(len(y), count, -1, *y.shape[2:])
        return y, None if weight is None else weight[:, rows].reshape(len(y), count, -1)

    def _next_order(self, stream: RandomStream) -> Array:
        return self._first_orders[stream]._next_order(stream)

    def _fill(self, rows_of_streams: list[Array]) -> None:
        self._x.take(rows_of_streams, repeat=not self._shared)
        self._y.take(rows_of_streams)
        if self._weight is not None:
            self._weight.take(rows_of_streams)
            for batch in self.blocks[rows_of_streams[0].size]:
                assert batch.weight is not None
                np.add.reduce(batch.weight, -1, out=batch.total, keepdims=True)


class _Gathered:
    """Rows of arrays of one shape, one array a model, each in the order of its stream.

    Parameters
    ----------
    arrays : list of ndarray of shape (n, ...)
    streams : list of int
        The stream of each.
    size : int
        Most rows at once.
    ones : int
        Columns of ones to append.
    """

    def __init__(self, arrays: list[Array], streams: list[int], size: int, *, ones: int) -> None:
        pairs = [(id(array), stream) for array, stream in zip(arrays, streams, strict=True)]
        distinct = list(dict.fromkeys(pairs))
        self._which = np.array([distinct.index(pair) for pair in pairs])
        by_id = {id(array): array for array in arrays}
        by_id = {name: append_ones(array, ones) for name, array in by_id.items()}
        self._sources = [(by_id[name], stream) for name, stream in distinct]
        source, _ = self._sources[0]
        shape, dtype = (size, *source.shape[1:]), source.dtype
        self._once = empty_buffer((len(distinct), *shape), dtype)
        self.has_sharers = len(distinct) < len(arrays)
        n_models = len(arrays)
        self.repeated = empty_buffer((n_models, *shape), dtype) if self.has_sharers else self._once

    def shared(self, rows: slice) -> SharedRows:
        """Some rows, with a part for each run of models that share them."""
        places = enumerate(self._which.tolist())
        runs = [(which, list(run)) for which, run in groupby(places, key=lambda one: one[1])]
        return SharedRows(
            [(slice(run[0][0], run[-1][0] + 1), self._once[which, rows]) for which, run in runs]
        )

    def take(self, rows_of_streams: list[Array], *, repeat: bool = True) -> None:
        """Gather these rows; with ``repeat``, copy them for each model."""
        size = rows_of_streams[0].size
        for (array, stream), once in zip(self._sources, self._once, strict=True):
            array.take(rows_of_streams[stream], 0, once[:size], "clip")
        if repeat and self.has_sharers:
            self._once[:, :size].take(self._which, 0, self.repeated[:, :size], "clip")
