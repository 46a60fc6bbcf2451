"""One epoch: a step for each batch, and the mean loss of them all."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.buffers import empty_buffer
from bpestimator.nn.network import NetworkSpec
from bpestimator.nn.recording import Computation
from bpestimator.training.blocks import ALL_MODELS, BatchesInBlocks
from bpestimator.training.diagnostics import Diagnostics
from bpestimator.training.objective import Batch, Objective, UnequalBatch, check_total
from bpestimator.training.rules import TrainingRules
from bpestimator.training.schedules import Clock
from bpestimator.training.state import TrainState
from bpestimator.training.step import Stepper


class _SameSize(NamedTuple):
    """Batches of one size, stacked along one more axis: their losses are computed at once.

    models : whose they are, a slice of the leading axis, or ALL_MODELS
    size : rows of each
    terms : ndarray of shape lead + (batches, size, n_terms)
    y, weight : ndarray of shape (..., batches, size, ...)
    norms : ndarray of shape lead + (layers, batches)
    """

    models: Any
    size: int
    terms: Array
    y: Array
    weight: Array | None
    norms: Array


class _Block(NamedTuple):
    """A block of batches: each with its step; and the batches of each size, part by part."""

    steps: list[tuple[Batch | UnequalBatch, Computation]]
    groups: list[list[_SameSize]]


class EpochTrainer:
    """Trains for one epoch at a time, on buffers that all epochs share.

    Parameters
    ----------
    spec, batches, rules, state
        As :func:`bpestimator.training.train` takes them.
    """

    def __init__(
        self, spec: NetworkSpec, batches: BatchesInBlocks, rules: TrainingRules, state: TrainState
    ) -> None:
        self._batches, self._state, self._schedule = batches, state, rules.schedule
        self._initial_rate = state.initial_rate.view()
        self._initial_rate.flags.writeable = False  # a user's schedule may not change it
        generators = [one.generator for one in state.streams if one.generator is not None]
        self._objective = Objective(spec, state.params, rules.penalty, rules.dropout, generators)
        self._diagnostics = Diagnostics(self._objective) if rules.diagnostics else None
        self._stepper = Stepper(self._objective, rules, state, self._diagnostics)
        self._repeats = rules.max_epochs > 1 or batches.n_rows >= 2 * batches.block_size
        lead, dtype = state.params.shape[:-1], state.params.dtype
        n_terms, n_layers = spec.loss.n_terms(spec.sizes[-1]), len(spec.sizes) - 1
        self._terms = empty_buffer((*lead, batches.block_size, n_terms), dtype)
        self._blocks = {
            rows_by_part: self._block(
                block, max(rows_by_part), np.empty((*lead, n_layers, len(block)), dtype)
            )
            for rows_by_part, block in batches.blocks.items()
        }

    def _block(self, batches: list[Batch | UnequalBatch], rows: int, norms: Array) -> _Block:
        starts = [*range(0, rows, self._batches.batch_size), rows]
        of_each = list(zip(batches, pairwise(starts), strict=True))
        steps = [
            Computation(
                self._stepper.train_on,
                batch,
                self._terms[..., start:end, :],
                norms[..., k],
                repeats=self._repeats,
            )
            for k, (batch, (start, end)) in enumerate(of_each)
        ]
        sizes = [_rows_by_part(batch, end - start) for batch, (start, end) in of_each]
        groups = []
        for same in dict.fromkeys(sizes):  # one size, and perhaps a shorter last batch
            first, count = sizes.index(same), sizes.count(same)
            of_batches = norms[..., first : first + count]
            groups.append(
                [
                    self._same_size(models, size, starts[first], of_batches)
                    for models, size in zip(_models_by_part(batches[first]), same, strict=True)
                ]
            )
        return _Block(list(zip(batches, steps, strict=True)), groups)

    def _same_size(self, models: Any, size: int, start: int, norms: Array) -> _SameSize:
        """Batches of some models that follow one another, from a row of the block on."""
        norms = norms[models]
        count = norms.shape[-1]
        rows = slice(start, start + count * size)
        terms = self._terms[models]
        *lead, _, n_terms = terms.shape
        terms = terms[..., rows, :].reshape(*lead, count, size, n_terms)
        y, weight = self._batches.by_batch(models, rows, count)
        return _SameSize(models, size, terms, y, weight, norms)

    def epoch(self) -> Array:
        """Take a step for every batch; mean penalised loss of the epoch, model by model."""
        state, weighted = self._state, self._batches.weight is not None
        per_step, n_steps = self._schedule.per_step, self._batches.n_steps
        self._set_rate(state.clock)
        losses, taken = [], 0
        for rows_by_part in self._batches.epoch(state.streams):
            block = self._blocks[rows_by_part]
            for batch, step in block.steps:
                if weighted and not batch.total.any():
                    check_total(batch)
                    continue  # its gradient would be 0 / 0: no step
                if per_step:
                    self._set_rate(state.clock.at(taken, n_steps))
                    taken += 1
                if step.calls is None:
                    step()
                    continue
                for each in step.calls:  # as step does; small networks notice two Python calls
                    each()
            for group in block.groups:
                losses.append(self._losses_of(group))
        n_rows = self._batches.n_rows_of_models
        state.clock = state.clock.after(n_rows)
        # Added one after the other, as scikit-learn does.
        in_order = losses[0] if len(losses) == 1 else np.concatenate(losses, axis=-1)
        sums = np.add.accumulate(in_order, -1)[..., -1:]
        mean: Array = (sums / n_rows).ravel()
        return mean

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
        found = self._schedule.rate(self._initial_rate, clock)
        if found is None:
            raise TypeError(f"The rate of {self._schedule!r} must return a number. Got None.")
        rate[...] = found
        self._state.rate = rate

    def _losses_of(self, group: list[_SameSize]) -> Any:
        """Rows times penalised loss of each batch, of shape lead + (batches,)."""
        if len(group) == 1:
            return self._losses(group[0])
        return np.concatenate([self._losses(one) for one in group])

    def _losses(self, group: _SameSize) -> Any:
        """As :meth:`_losses_of`, for the models of one part."""
        models, size, terms, y, weight, norms = group
        objective = self._objective if models is ALL_MODELS else self._objective.of_models(models)
        if weight is None:
            return size * objective.value(terms, y, None, norms, size)
        totals = np.add.reduce(weight, -1)
        losses = size * objective.value(terms, y, weight, norms, totals)
        return np.where(totals == 0, 0.0, losses)


def _models_by_part(batch: Batch | UnequalBatch) -> list[Any]:
    """The models of each part of a batch; all of them where it has but one."""
    if isinstance(batch, UnequalBatch):
        return [models for models, _ in batch.parts]
    return [ALL_MODELS]


def _rows_by_part(batch: Batch | UnequalBatch, rows: int) -> tuple[int, ...]:
    """The rows of each part of a batch; those given where it has but one."""
    if isinstance(batch, UnequalBatch):
        return tuple(part.y.shape[1] for _, part in batch.parts)
    return (rows,)
