"""The trainer: epochs of small steps against the gradient, until a rule says stop.

Per batch: gather, forward, delta, backward, penalty, step. Per epoch: record the loss,
validate, judge, ask the schedule for the next rate. One path serves one model and many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bpestimator.nn.layout import Array
from bpestimator.nn.network import NetworkSpec
from bpestimator.nn.workspace import Workspace
from bpestimator.training.batches import Batches
from bpestimator.training.objective import Objective
from bpestimator.training.optimizers import Optimizer
from bpestimator.training.penalties import L2
from bpestimator.training.schedules import Schedule
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


class Descent:
    """Parameters on their way down: one epoch at a time, on buffers made once."""

    def __init__(
        self, spec: NetworkSpec, batches: Batches, rules: TrainingRules, state: TrainState
    ) -> None:
        self._spec, self._batches, self._rules, self._state = spec, batches, rules, state
        self._objective = Objective(spec, state.params, rules.penalty)
        lead, dtype = state.params.shape[:-1], state.params.dtype
        self._workspaces = {
            size: Workspace(spec, size, lead, dtype) for size in batches.sizes
        }
        self._record_width = spec.loss.record_width(spec.sizes[-1])
        self._record = np.empty((*lead, batches.n_rows, self._record_width), dtype)
        self._squared_norms = np.empty((*lead, len(batches.bounds)))

    def epoch(self, rate: Any) -> Array:
        """Step through every batch; mean penalised loss of the epoch, of shape lead."""
        batches, objective, state = self._batches, self._objective, self._state
        step = self._rules.optimizer.step
        batches.start_epoch(state.order, state.rng)
        for number, (start, stop) in enumerate(batches.bounds):
            batch = batches.batch(start, stop)
            if batch.total == 0:  # rows that do not count teach nothing
                continue
            self._squared_norms[..., number] = objective.squared_norm()
            ws = self._workspaces[stop - start]
            grads = objective.gradient(batch, ws, self._record[..., start:stop, :])
            step(state.params, grads, state.optimizer, rate, objective.scratch)
        return self._epoch_loss()

    def _epoch_loss(self) -> Array:
        """Mean of the batches' penalised losses, weighted by their rows, added in order."""
        bounds, n_rows = self._batches.bounds, self._batches.n_rows
        size = bounds[0][1]
        n_full = n_rows // size
        parts = [self._batch_losses(0, n_full, size)]
        if n_full < len(bounds):
            parts.append(self._batch_losses(n_full * size, 1, n_rows - n_full * size))
        summed = np.concatenate(parts, axis=-1)
        return np.asarray(np.add.accumulate(summed, axis=-1)[..., -1] / n_rows)

    def _batch_losses(self, start: int, count: int, size: int) -> Array:
        """Rows times penalised loss, for ``count`` batches of ``size`` rows from ``start``.

        The batches are one more leading axis, so that the loss values them all at once.
        """
        stop = start + count * size
        lead = self._record.shape[:-2]
        y, weight = self._batches.y, self._batches.weight
        record = self._record[..., start:stop, :].reshape(*lead, count, size, -1)
        y = y[start:stop].reshape(count, size, *y.shape[1:])
        totals: Any = size
        if weight is not None:
            weight = weight[start:stop].reshape(count, size)
            totals = np.add.reduce(weight, axis=-1)
        loss = self._spec.loss.value(record, y, weight, self._spec.sizes[-1])
        first = start // self._batches.bounds[0][1]
        squared_norms = self._squared_norms[..., first : first + count]
        losses = size * (loss + self._rules.penalty.value(squared_norms, totals))
        return losses if weight is None else np.where(totals == 0, 0.0, losses)


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
                losses = descent.epoch(rate if len(models) > 1 else float(rate[..., 0]))
                state.clock = state.clock._replace(
                    epoch=state.clock.epoch + 1,
                    samples=state.clock.samples + batches.n_rows,
                )
                for number, model in enumerate(models):
                    if number in finished:
                        continue
                    run = state.runs[number]
                    _record_epoch(run, float(losses[model]), report)
                    params = state.params[model]
                    if validate is not None:
                        _record_score(run, validate(params), report)
                    if rules.stopping.note(run):
                        run.best_params = params.copy()
                    initial_rate = float(state.initial_rate[model][0])
                    verdict = rules.stopping.judge(run, initial_rate, rules.schedule, report)
                    if verdict is Verdict.SHRINK:
                        state.initial_rate[model] /= rules.schedule.shrink_by
                    elif verdict is Verdict.STOP:
                        finished[number] = params.copy()
                if len(finished) == len(models):
                    return StopReason.CONVERGED
        return StopReason.MAX_EPOCHS
    except KeyboardInterrupt:
        return StopReason.INTERRUPTED
    finally:
        for number, params in finished.items():
            state.params[models[number]] = params


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
