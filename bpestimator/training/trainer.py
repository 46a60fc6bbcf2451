"""The trainer: epochs of small steps against the gradient, until a rule says stop.

Per batch: gather, forward, delta, backward, penalty, step. Per epoch: record the loss,
validate, judge, ask the schedule for the next rate. One path serves one model and many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bpestimator.nn.layout import Array, empty_buffer
from bpestimator.nn.network import NetworkSpec
from bpestimator.training.batches import Batches
from bpestimator.training.objective import Bound, Objective
from bpestimator.training.optimizers import Optimizer
from bpestimator.training.penalties import L2, squared_norm
from bpestimator.training.schedules import Clock, Schedule
from bpestimator.training.state import Run, TrainState
from bpestimator.training.stopping import Report, Stopping, StopReason, Verdict

Validate = Callable[[Array], float]


@dataclass(frozen=True)
class TrainingRules:
    """How to train.

    Parameters
    ----------
    optimizer : Optimizer
    schedule : Schedule
    penalty : L2
    stopping : Stopping
    max_epochs : int
        Of this call.
    """

    optimizer: Optimizer
    schedule: Schedule
    penalty: L2
    stopping: Stopping
    max_epochs: int


class _Group(NamedTuple):
    """Batches of one size, as one more leading axis: their losses are valued all at once.

    size : rows of each
    record : ndarray of shape lead + (batches, size, record_width)
    y, weight : ndarray of shape (batches, size, ...)
    squared_norms : ndarray of shape lead + (batches,)
    """

    size: int
    record: Array
    y: Array
    weight: Array | None
    squared_norms: Array


class _Plan(NamedTuple):
    """What stepping through a block needs, bound once.

    steps : for each batch its buffers, its part of the record, its place for the squared norm
    groups : the batches again, by size
    """

    steps: list[tuple[Bound, Array, Array]]
    groups: list[_Group]


class Descent:
    """Parameters on their way down: one epoch at a time, on buffers made once."""

    def __init__(
        self, spec: NetworkSpec, batches: Batches, rules: TrainingRules, state: TrainState
    ) -> None:
        self._spec, self._batches, self._rules = spec, batches, rules
        self._objective = Objective(spec, state.params, rules.penalty)
        self._step = rules.optimizer.bind(
            state.params, self._objective.grad, state.optimizer, self._objective.scratch
        )
        sizes = {size for layout in batches.layouts.values() for size in layout}
        bound = {size: self._objective.bind(size, sparse=batches.sparse) for size in sizes}
        lead, dtype = state.params.shape[:-1], state.params.dtype
        width = spec.loss.record_width(spec.sizes[-1])
        record = empty_buffer((*lead, batches.y.shape[0], width), dtype)
        self._plans = {
            rows: self._plan(layout, record, bound) for rows, layout in batches.layouts.items()
        }

    def _plan(self, sizes: list[int], record: Array, bound: dict[int, Bound]) -> _Plan:
        lead, width = record.shape[:-2], record.shape[-1]
        squared_norms = np.empty((*lead, len(sizes)))
        starts = range(0, sum(sizes), sizes[0])
        steps = [
            (bound[size], record[..., start : start + size, :], squared_norms[..., k : k + 1])
            for k, (start, size) in enumerate(zip(starts, sizes, strict=True))
        ]
        groups = []
        y, weight = self._batches.y, self._batches.weight
        for size in dict.fromkeys(sizes):  # one size, and perhaps a shorter last batch
            first, count = sizes.index(size), sizes.count(size)
            rows = slice(starts[first], starts[first] + count * size)
            groups.append(
                _Group(
                    size,
                    record[..., rows, :].reshape(*lead, count, size, width),
                    y[rows].reshape(count, size, *y.shape[1:]),
                    None if weight is None else weight[rows].reshape(count, size),
                    squared_norms[..., first : first + count],
                )
            )
        return _Plan(steps, groups)

    def epoch(self, rate: Any, order: Array, rng: np.random.RandomState) -> Any:
        """Step through every batch; mean penalised loss of the epoch, of shape lead."""
        gradient, step = self._objective.gradient, self._step
        layer_weights = self._objective.layer_weights
        losses = []
        for block in self._batches.epoch(order, rng):
            steps, groups = self._plans[block.rows]
            for batch, (bound, record, norm) in zip(block.batches, steps, strict=True):
                if batch.total == 0:  # rows that do not count teach nothing
                    continue
                norm[..., 0] = squared_norm(layer_weights)
                gradient(batch, bound, record)
                step(rate)
            losses += [self._losses(group) for group in groups]
        in_order = losses[0] if len(losses) == 1 else np.concatenate(losses, axis=-1)
        # Added one after the other, as scikit-learn does.
        return np.add.accumulate(in_order, -1)[..., -1] / self._batches.n_rows

    def _losses(self, group: _Group) -> Any:
        """Rows times penalised loss of each batch, of shape lead + (batches,)."""
        size, record, y, weight, squared_norms = group
        loss = self._spec.loss.value(record, y, weight, self._spec.sizes[-1])
        if weight is None:
            return size * (loss + self._rules.penalty.value(squared_norms, size))
        totals = np.add.reduce(weight, -1)
        losses = size * (loss + self._rules.penalty.value(squared_norms, totals))
        return np.where(totals == 0, 0.0, losses)


def train(
    spec: NetworkSpec,
    batches: Batches,
    rules: TrainingRules,
    state: TrainState,
    *,
    validate: Validate | None = None,
    report: Report | None = None,
) -> StopReason:
    """Advance ``state`` until every model stops or ``rules.max_epochs`` have passed.

    Parameters
    ----------
    spec : NetworkSpec
    batches : Batches
    rules : TrainingRules
    state : TrainState
        Changed in place. With models in lockstep, one that stops keeps the parameters it
        stopped with.
    validate : callable, optional
        Takes the parameters of one model, of shape (P,), and returns its score; more is
        better. Then the score decides, and the best parameters are kept in the run.
    report : callable, optional
        Takes each line worth telling.

    Returns
    -------
    StopReason
    """
    if state.order is None:
        state.order = batches.first_order()
    models = list(np.ndindex(state.params.shape[:-1]))
    finished: dict[int, Array] = {}
    try:
        with np.errstate(all="ignore"):
            descent = Descent(spec, batches, rules, state)
            for _ in range(rules.max_epochs):
                rate = rules.schedule.rate(state.initial_rate, state.clock)
                if state.params.ndim == 1:
                    rate = float(rate[0])
                losses = descent.epoch(rate, state.order, state.rng)
                epoch, samples = state.clock
                state.clock = Clock(epoch + 1, samples + batches.n_rows)
                for number, model in enumerate(models):
                    if number in finished:
                        continue
                    run = state.runs[number]
                    _record_epoch(run, float(losses[model]), report)
                    if validate is not None:
                        _record_score(run, validate(state.params[model]), report)
                    if rules.stopping.note(run):
                        run.best_params = state.params[model].copy()
                    if run.stalled > rules.stopping.patience and _stops(
                        run, state.initial_rate[model], rules, report
                    ):
                        finished[number] = state.params[model].copy()
                if len(finished) == len(models):
                    return StopReason.CONVERGED
        return StopReason.MAX_EPOCHS
    except KeyboardInterrupt:
        return StopReason.INTERRUPTED
    finally:
        for number, params in finished.items():
            state.params[models[number]] = params


def _stops(run: Run, initial_rate: Array, rules: TrainingRules, report: Report | None) -> bool:
    """Whether a stalled run stops; if not, its rate shrinks."""
    verdict = rules.stopping.judge(run, float(initial_rate[0]), rules.schedule, report)
    if verdict is Verdict.SHRINK:
        initial_rate /= rules.schedule.shrink_by
    return verdict is Verdict.STOP


def _record_epoch(run: Run, loss: float, report: Report | None) -> None:
    run.n_iter += 1
    run.loss_curve.append(loss)
    if report is not None:
        report(f"Iteration {run.n_iter}, loss = {loss:.8f}")


def _record_score(run: Run, score: float, report: Report | None) -> None:
    if run.validation_scores is None:
        run.validation_scores = []
    run.validation_scores.append(score)
    if report is not None:
        report(f"Validation score: {score:f}")
