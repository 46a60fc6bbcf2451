"""Batches for models in lockstep that differ in their rows, or in their order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, groupby, pairwise
from typing import Any

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.bias_trick import append_ones
from bpestimator.nn.kernels.buffers import empty_buffer
from bpestimator.nn.kernels.products import SharedRows
from bpestimator.training.batches import Batches
from bpestimator.training.blocks import ALL_MODELS, BatchesInBlocks
from bpestimator.training.objective import Batch, UnequalBatch
from bpestimator.training.streams import RandomStream

# A batch up to this size is copied for each of the models that share it, which takes less time than
# a product for each data set.
REPEATED_BYTES = 4096


class StackedBatches(BatchesInBlocks):
    """The batches of several models that train in lockstep.

    Rows that several models take in the same order are gathered once. The last batches of models
    with other numbers of rows differ in size; such a batch has a part for each size.

    Parameters
    ----------
    members : sequence of Batches
        One per model: of dense rows, alike in width, type, number of batches and their size, the
        last batch aside. Members of one number of rows follow one another. Weights, if there are
        any, are above 0.
    streams : sequence of RandomStream
        One per model; those that :meth:`epoch` will be called with.
    as_array : bool, default=False
        Whether the rows of a batch have to be one array.

    Attributes
    ----------
    y, weight : ndarray of shape (models, block_size, ...)
        The buffers of a block's targets and weights; weight may be None.

    All others are those of :class:`bpestimator.training.blocks.BatchesInBlocks`.
    """

    def __init__(
        self,
        members: Sequence[Batches],
        streams: Sequence[RandomStream],
        *,
        as_array: bool = False,
    ) -> None:
        first = members[0]
        self._member_of = dict(zip(streams, members, strict=True))
        self._parts = _parts(members)
        numbers = {stream: number for number, stream in enumerate(dict.fromkeys(streams))}
        of_models = [numbers[stream] for stream in streams]
        sources = [(one.rows_key, k) for one, k in zip(members, of_models, strict=True)]
        bytes_per_row = first.all_x.shape[1] * first.all_x.itemsize
        super().__init__(
            first.all_x,
            n_rows=max(n_rows for _, n_rows in self._parts),
            n_steps=first.n_steps,
            batch_size=max(one.batch_size for one in members),
            epochs=first.epochs,
            first_units=first.first_units,
            bytes_per_row=bytes_per_row * len(set(sources)),
        )

        def gathered(arrays: list[Array], ones: int = 0) -> _Gathered:
            return _Gathered(arrays, members, of_models, self.block_size, ones=ones)

        self._x = gathered([one.all_x for one in members], ones=self._n_ones)
        large = self.batch_size * bytes_per_row > REPEATED_BYTES
        self._shared = large and self._x.has_sharers and not as_array
        self._y = gathered([one.all_y for one in members])
        self.y, self.weight, self._weight = self._y.repeated, None, None
        weights = [one.all_weight for one in members if one.all_weight is not None]
        if weights:
            self._weight = gathered(weights)
            self.weight = self._weight.repeated

    @property
    def n_rows_of_models(self) -> Any:
        if len(self._parts) == 1:
            return self.n_rows
        models = [models.stop - models.start for models, _ in self._parts]
        return np.repeat([n_rows for _, n_rows in self._parts], models)[:, None]

    def _rows_by_part(self, start: int) -> tuple[int, ...]:
        return tuple(min(self.block_size, n_rows - start) for _, n_rows in self._parts)

    def _batch_sizes(self) -> set[int]:
        last = {n_rows - (self.n_steps - 1) * self.batch_size for _, n_rows in self._parts}
        return last | ({self.batch_size} if self.n_steps > 1 else set())

    def _view(self, start: int, rows_by_part: tuple[int, ...]) -> Batch | UnequalBatch:
        if len(set(rows_by_part)) == 1:  # equally long: one plain batch
            return self._part(slice(0, len(self.y)), slice(start, start + rows_by_part[0]))
        parts = [
            (models, self._part(models, slice(start, start + size)))
            for (models, _), size in zip(self._parts, rows_by_part, strict=True)
        ]
        total = np.empty((len(self.y), 1), self._dtype)
        for models, part in parts:
            total[models] = part.total
        if self.weight is not None:
            # Each block refills the totals of the parts, which must be views of the batch's.
            parts = [(models, part._replace(total=total[models])) for models, part in parts]
        return UnequalBatch(parts, parts[0][1].weight, total)

    def _part(self, models: slice, rows: slice) -> Batch:
        """The batch of some models, as views of the buffers."""
        size, dtype = rows.stop - rows.start, self._dtype
        x = self._x.shared(models, rows) if self._shared else self._x.repeated[models, rows]
        x, y = self._as_rows(x, size), self.y[models, rows]
        if self.weight is None:
            return Batch(x, y, None, np.array(size, dtype))
        return Batch(x, y, self.weight[models, rows], np.empty((len(y), 1), dtype))

    def by_batch(self, models: Any, rows: slice, count: int) -> tuple[Array, Array | None]:
        models = slice(None) if models is ALL_MODELS else models
        y, weight = self.y[models, rows], self.weight
        y = y.reshape(len(y), count, -1, *y.shape[2:])
        return y, None if weight is None else weight[models, rows].reshape(len(y), count, -1)

    def _next_order(self, stream: RandomStream) -> Array:
        return self._member_of[stream]._next_order(stream)

    def _fill(self, places_of_streams: list[Array], rows_by_part: tuple[int, ...]) -> None:
        self._x.take(places_of_streams, repeat=not self._shared)
        self._y.take(places_of_streams)
        if self._weight is not None:
            self._weight.take(places_of_streams)
            for batch in self.blocks[rows_by_part]:
                for part in _batches_in(batch):
                    assert part.weight is not None
                    part.total[...] = np.add.reduce(part.weight, -1, keepdims=True)


def _batches_in(batch: Batch | UnequalBatch) -> list[Batch]:
    return [part for _, part in batch.parts] if isinstance(batch, UnequalBatch) else [batch]


def _parts(members: Sequence[Batches]) -> list[tuple[slice, int]]:
    """Which models have how many rows."""
    counts = [(n_rows, len(list(one))) for n_rows, one in groupby(one.n_rows for one in members)]
    if len(counts) > len({n_rows for n_rows, _ in counts}):
        raise ValueError(
            "Models with one number of rows must follow one another. Got "
            f"{[n_rows for n_rows, _ in counts]}: sort them by their rows."
        )
    ends = accumulate((count for _, count in counts), initial=0)
    return [
        (slice(start, end), n_rows)
        for (start, end), (n_rows, _) in zip(pairwise(ends), counts, strict=True)
    ]


class _Gathered:
    """Rows of arrays of one width, one array a model, each in the order of its stream.

    Parameters
    ----------
    arrays : list of ndarray of shape (n, ...)
    members : sequence of Batches
        Which rows of each array are trained on.
    streams : list of int
        The stream of each.
    size : int
        Most rows at once.
    ones : int
        Columns of ones to append.
    """

    def __init__(
        self,
        arrays: list[Array],
        members: Sequence[Batches],
        streams: list[int],
        size: int,
        *,
        ones: int,
    ) -> None:
        each = list(zip(arrays, members, streams, strict=True))
        keys = [(id(array), member.rows_key, stream) for array, member, stream in each]
        distinct = dict(zip(keys, each, strict=True))
        places = {key: place for place, key in enumerate(distinct)}
        self._which = np.array([places[key] for key in keys])
        with_ones = {id(array): append_ones(array, ones) for array in arrays}
        self._sources = [
            (with_ones[id(array)], member, stream) for array, member, stream in distinct.values()
        ]
        source = self._sources[0][0]
        shape, dtype = (size, *source.shape[1:]), source.dtype
        self._once = empty_buffer((len(distinct), *shape), dtype)
        self.has_sharers = len(distinct) < len(arrays)
        n_models = len(arrays)
        self.repeated = empty_buffer((n_models, *shape), dtype) if self.has_sharers else self._once

    def shared(self, models: slice, rows: slice) -> SharedRows:
        """Some rows of some models, with a part for consecutive models that share them."""
        places = enumerate(self._which[models].tolist())
        sharers = [(which, list(some)) for which, some in groupby(places, key=lambda one: one[1])]
        return SharedRows(
            [
                (slice(some[0][0], some[-1][0] + 1), self._once[which, rows])
                for which, some in sharers
            ]
        )

    def take(self, places_of_streams: list[Array], *, repeat: bool = True) -> None:
        """Gather the rows at these places; with ``repeat``, copy them for each model."""
        size = max(places.size for places in places_of_streams)
        for (array, member, stream), once in zip(self._sources, self._once, strict=True):
            rows = member.rows_at(places_of_streams[stream])
            array.take(rows, 0, once[: rows.size], "clip")
        if repeat and self.has_sharers:
            self._once[:, :size].take(self._which, 0, self.repeated[:, :size], "clip")
