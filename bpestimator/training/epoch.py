"""One epoch: a step for each batch, and the mean loss of them all."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.buffers import empty_buffer
from bpestimator.nn.network import NetworkSpec
from bpestimator.nn.recording import Computation
from bpestimator.training.batches import Batches
from bpestimator.training.diagnostics import Diagnostics
from bpestimator.training.objective import Batch, Objective, check_total
from bpestimator.training.rules import TrainingRules
from bpestimator.training.schedules import Clock
from bpestimator.training.state import TrainState
from bpestimator.training.step import Stepper


class _SameSize(NamedTuple):
    """Batches of one size, stacked along one more axis: their losses are computed at once.

    size : rows of each
    terms : ndarray of shape lead + (batches, size, n_terms)
    y, weight : ndarray of shape (..., batches, size, ...)
    norms : ndarray of shape lead + (layers, batches)
    """

    size: int
    terms: Array
    y: Array
    weight: Array | None
    norms: Array


class _Block(NamedTuple):
    """A block of batches: the step of each, and the batches of each size."""

    batches: list[Batch]
    steps: list[Computation]
    sizes: list[_SameSize]


class EpochTrainer:
    """Trains for one epoch at a time, on buffers that all epochs share.

    Parameters
    ----------
    spec, batches, rules, state
        As :func:`bpestimator.training.train` takes them.
    """

    def __init__(
        self, spec: NetworkSpec, batches: Batches, rules: TrainingRules, state: TrainState
    ) -> None:
        self._batches, self._state, self._schedule = batches, state, rules.schedule
        generators = [one.generator for one in state.streams if one.generator is not None]
        self._objective = Objective(spec, state.params, rules.penalty, rules.dropout, generators)
        self._diagnostics = Diagnostics(self._objective) if rules.diagnostics else None
        self._stepper = Stepper(self._objective, rules, state, self._diagnostics)
        lead, dtype = state.params.shape[:-1], state.params.dtype
        n_terms, n_layers = spec.loss.n_terms(spec.sizes[-1]), len(spec.sizes) - 1
        self._terms = empty_buffer((*lead, batches.block_size, n_terms), dtype)
        self._blocks = {
            rows: self._block(block, rows, np.empty((*lead, n_layers, len(block)), dtype))
            for rows, block in batches.blocks.items()
        }

    def _block(self, batches: list[Batch], rows: int, norms: Array) -> _Block:
        starts = [*range(0, rows, self._batches.batch_size), rows]
        parts = [slice(start, end) for start, end in pairwise(starts)]
        steps = [
            Computation(self._stepper.take, batch, self._terms[..., part, :], norms[..., k])
            for k, (batch, part) in enumerate(zip(batches, parts, strict=True))
        ]
        sizes = [part.stop - part.start for part in parts]
        groups = []
        for size in dict.fromkeys(sizes):  # one size, and perhaps a shorter last batch
            first, count = sizes.index(size), sizes.count(size)
            part = slice(starts[first], starts[first + count])
            groups.append(self._same_size(size, part, norms[..., first : first + count]))
        return _Block(batches, steps, groups)

    def _same_size(self, size: int, rows: slice, norms: Array) -> _SameSize:
        count = norms.shape[-1]
        *lead, _, n_terms = self._terms.shape
        terms = self._terms[..., rows, :].reshape(*lead, count, size, n_terms)
        return _SameSize(size, terms, *self._batches.by_batch(rows, count), norms)

    def epoch(self) -> Array:
        """Take a step for every batch; mean penalised loss of the epoch, model by model."""
        state, weighted = self._state, self._batches.weight is not None
        per_step, n_steps = self._schedule.per_step, self._batches.n_steps
        self._set_rate(state.clock)
        losses, taken = [], 0
        for rows in self._batches.epoch(state.streams):
            block = self._blocks[rows]
            for batch, step in zip(block.batches, block.steps, strict=True):
                if weighted and not batch.total.any():
                    check_total(batch)
                    continue  # rows of weight 0 change nothing
                if per_step:
                    self._set_rate(state.clock.at(taken, n_steps))
                    taken += 1
                step()
            losses += [self._losses(group) for group in block.sizes]
        in_order = losses[0] if len(losses) == 1 else np.concatenate(losses, axis=-1)
        state.clock = state.clock.after(self._batches.n_rows)
        # Added one after the other, as scikit-learn does.
        return np.add.accumulate(in_order, -1)[..., -1:].ravel() / self._batches.n_rows

    def rates(self) -> list[float]:
        """The learning rate of the last step, model by model."""
        rates: list[float] = self._stepper.rate.ravel().tolist()
        return rates

    def measures(self) -> dict[str, list[float]]:
        """The diagnostics of the last step, model by model."""
        if self._diagnostics is None:
            return {}
        found = self._diagnostics.measure()
        return {name: np.ravel(value).tolist() for name, value in found.items()}

    def _set_rate(self, clock: Clock) -> None:
        rate = self._stepper.rate
        rate[...] = self._schedule.rate(self._state.initial_rate, clock)
        self._state.rate = rate

    def _losses(self, group: _SameSize) -> Any:
        """Rows times penalised loss of each batch, of shape lead + (batches,)."""
        size, terms, y, weight, norms = group
        if weight is None:
            return size * self._objective.value(terms, y, None, norms, size)
        totals = np.add.reduce(weight, -1)
        losses = size * self._objective.value(terms, y, weight, norms, totals)
        return np.where(totals == 0, 0.0, losses)
