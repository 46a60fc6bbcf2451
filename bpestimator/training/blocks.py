"""Blocks: several batches that are gathered at once, by one model's batches as by many models'."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from math import ceil, sqrt
from typing import Any

from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.bias_trick import ExactColumns, exact_columns, rows_with_ones
from bpestimator.training.objective import Batch, UnequalBatch
from bpestimator.training.streams import RandomStream

# A block of batches is gathered at once: large enough to spread the cost of a gather over
# several batches, small enough to stay in the second-level cache until its rows are used.
BLOCK_BYTES = 2**19
BLOCK_BATCHES = 256
# Recording a batch's step takes as long as filling so many blocks and computing their losses: so
# blocks are short where there are few epochs.
RECORDING_COST_IN_BLOCKS = 5

# In place of a slice of models, along the leading axis.
ALL_MODELS = ...


class BatchesInBlocks(ABC):
    """The batches of one epoch after another, in buffers that every block overwrites.

    Parameters
    ----------
    x : ndarray or sparse matrix
        Its width and dtype are those of the batches.
    n_rows, n_steps, batch_size, epochs, first_units : int
        See below.
    bytes_per_row : int or None
        What a row takes, of all models that do not share it; None to gather batch by batch.

    Attributes
    ----------
    n_rows : int
        Rows of an epoch; of models that differ, the most.
    n_steps : int
        Batches of an epoch.
    batch_size : int
        Rows of a batch, the last one aside.
    block_size : int
        Rows of the largest block.
    epochs : int
        The most epochs to expect.
    first_units : int
        Units of the first layer, if the bias trick may be used for it; 0 if not.
    n_rows_of_models : int, or ndarray of shape (models, 1)
        Rows of an epoch, of each model where they differ.
    blocks : dict of list of Batch or UnequalBatch
        The batches of a block, for each number of rows that a block may have: views of the buffers.
        The key is a tuple of the rows of each part; there is one part unless models differ.
    y, weight : ndarray
        The buffers of a block's targets and weights; weight may be None.
    """

    y: Array
    weight: Array | None

    def __init__(
        self,
        x: Any,
        *,
        n_rows: int,
        n_steps: int,
        batch_size: int,
        epochs: int,
        first_units: int,
        bytes_per_row: int | None,
    ) -> None:
        self._n_features, self._dtype = x.shape[1], x.dtype
        self.n_rows, self.n_steps = n_rows, n_steps
        self.batch_size, self.epochs = batch_size, epochs
        self.first_units = first_units
        self.block_size = (
            batch_size if bytes_per_row is None else self._rows_of_block(bytes_per_row)
        )

    def _rows_of_block(self, bytes_per_row: int) -> int:
        """Rows of a block: as many whole batches as fit, at least one, at most all."""
        fitting = int(BLOCK_BYTES // (bytes_per_row * self.batch_size))
        worth_it = ceil(sqrt(self.epochs * self.n_steps / RECORDING_COST_IN_BLOCKS))
        return min(max(1, min(fitting, worth_it, BLOCK_BATCHES)) * self.batch_size, self.n_rows)

    # Made when training begins: batches that become part of a stack need no buffers.
    @cached_property
    def blocks(self) -> dict[tuple[int, ...], list[Batch | UnequalBatch]]:
        in_all = range(0, self.n_rows, self.block_size)
        return {
            by_part: [
                self._view(start, tuple(min(self.batch_size, rows - start) for rows in by_part))
                for start in range(0, max(by_part), self.batch_size)
            ]
            for by_part in {self._rows_by_part(start) for start in in_all}
        }

    def epoch(self, streams: Sequence[RandomStream]) -> Iterator[tuple[int, ...]]:
        """Shuffle each stream's order in place, if rows are shuffled, and fill block after block.

        Parameters
        ----------
        streams : sequence of RandomStream
            One per model; models may share one.

        Yields
        ------
        rows_by_part : tuple of int
            Key of the block in ``blocks`` that has just been filled.
        """
        orders = [self._next_order(stream) for stream in dict.fromkeys(streams)]
        for start in range(0, self.n_rows, self.block_size):
            rows_by_part = self._rows_by_part(start)
            self._fill([order[start : start + self.block_size] for order in orders], rows_by_part)
            yield rows_by_part

    @cached_property
    def _n_ones(self) -> int:
        """How many columns of ones the rows need, for any size of batch."""
        return max(chain.from_iterable(map(self._exact_columns, self._batch_sizes())))

    def _exact_columns(self, size: int) -> ExactColumns:
        return exact_columns(size, self._n_features, self.first_units, self._dtype)

    def _as_rows(self, x: Any, size: int) -> Any:
        """Rows of a batch of that size, as the network takes them."""
        if not self._n_ones:
            return x
        return rows_with_ones(x, self._n_features, self._exact_columns(size))

    @property
    @abstractmethod
    def n_rows_of_models(self) -> Any: ...

    @abstractmethod
    def by_batch(self, models: Any, rows: slice, count: int) -> tuple[Array, Array | None]:
        """The targets and weights of so many batches of one size, stacked along an axis.

        ``models`` is a slice of them, or ``ALL_MODELS``.
        """

    @abstractmethod
    def _batch_sizes(self) -> set[int]:
        """The numbers of rows of a batch: one, and perhaps those of shorter last batches."""

    @abstractmethod
    def _rows_by_part(self, start: int) -> tuple[int, ...]:
        """The rows of the block that starts there, part by part."""

    @abstractmethod
    def _view(self, start: int, rows_by_part: tuple[int, ...]) -> Batch | UnequalBatch:
        """The batch of a block that starts there, as views of the buffers."""

    @abstractmethod
    def _next_order(self, stream: RandomStream) -> Array:
        """The order of the rows in the coming epoch."""

    @abstractmethod
    def _fill(self, places_of_streams: list[Array], rows_by_part: tuple[int, ...]) -> None:
        """Gather a block, from each stream's places among the rows to train on."""
