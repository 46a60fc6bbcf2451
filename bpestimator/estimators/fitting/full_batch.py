"""Full-batch training: L-BFGS on all rows at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from bpestimator.estimators.fitting import messages
from bpestimator.estimators.fitting.problem import FitResult, FitTask, network_attributes
from bpestimator.estimators.fitting.validation import Validator
from bpestimator.estimators.threads import blas_threads, largest_product
from bpestimator.nn import EXACT_ROWS, rows_of
from bpestimator.training import Batch, LBFGSResult, Run, check_total, minimize_lbfgs

# The attributes that only a stochastic fit sets. A new fit by 'lbfgs' removes them, since they
# would describe an earlier fit.
STOCHASTIC_ATTRIBUTES = (
    "learning_rate_",
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "validation_loss_curve_",
    "best_validation_score_",
)


class FullBatch(NamedTuple):
    """What full-batch training needs besides the task.

    batch : all rows, in float64
    run : the progress of earlier calls and of this one
    validate : computes the score and the loss on the validation rows, or None
    warnings : warnings to issue before training
    """

    batch: Batch
    run: Run
    validate: Validator | None
    warnings: list[Warning]


def prepare_full_batch(task: FitTask) -> FullBatch:
    """Set up full-batch training.

    Raises
    ------
    ValueError
        For parameters that do not suit the data or the network.
    """
    settings, _, problem, *_ = task
    spec, held_out = problem.spec, problem.held_out
    settings.dropout_of(len(spec.sizes) - 2)  # only to check the rates: lbfgs uses no dropout
    validates = held_out is not None
    # In float64, since the line search compares losses that float32 cannot tell apart.
    targets = problem.encoded
    if not spec.loss.takes_labels:
        targets = targets.astype(np.float64, copy=False)
    weight = problem.weight
    total = np.array(problem.n_rows if weight is None else weight.sum(), np.float64)
    batch = Batch(rows_of(problem.x.astype(np.float64, copy=False)), targets, weight, total)
    check_total(batch)
    return FullBatch(
        batch=batch,
        run=Run() if task.call.fresh else task.earlier.run(),
        validate=(
            None if held_out is None else Validator(settings, problem, held_out, task.model_at)
        ),
        warnings=[
            *messages.unused_by_lbfgs(settings, validates=validates),
            *messages.nothing_to_score(settings, validates=validates),
        ],
    )


def fit_full_batch(task: FitTask, ready: FullBatch) -> FitResult:
    """Train by L-BFGS on all rows at once; ValueError if the weights are not finite."""
    settings, _, problem, *_ = task
    with blas_threads(largest_product(problem.spec.sizes, min(problem.n_rows, EXACT_ROWS))):
        found = minimize_lbfgs(
            problem.spec,
            ready.batch,
            settings.penalty,
            problem.params.astype(np.float64),
            tol=float(settings.tol),
            max_iter=int(settings.max_iter),
            max_fun=int(settings.max_fun),
            max_seconds=settings.max_seconds,
            log=print if settings.verbose else None,
            listener=_AfterIteration(task, ready),
        )
    if not np.isfinite(found.params).all():
        messages.raise_non_finite("use solver='adam'")
    if found.interrupted and found.n_iter == 0 and task.earlier.has_model:
        return FitResult(None, warnings=[UserWarning(messages.INTERRUPTED_TOO_EARLY)])
    return _result(task, ready, found)


def _result(task: FitTask, ready: FullBatch, found: LBFGSResult) -> FitResult:
    settings, call, problem, earlier, *_ = task
    params = found.params.astype(problem.params.dtype, copy=False)
    attributes = {
        "n_iter_": found.n_iter,
        "loss_": found.loss,
        "t_": 0 if call.fresh else earlier.samples,
        "history_": ready.run.history,
        "stop_reason_": messages.reason_of_lbfgs(settings, found),
        **network_attributes(problem.spec, params),
    }
    if ready.validate is not None:
        attributes["validation_scores_"] = ready.run.validation_scores
        attributes["validation_loss_curve_"] = ready.run.validation_losses
    return FitResult(
        attributes=attributes,
        memory={
            "hidden_layer_sizes": settings.hidden_sizes,
            "solver": "lbfgs",
            "stalled": 0 if call.fresh else earlier.memory.get("stalled", 0),
        },
        warnings=messages.warnings_of_lbfgs(settings, found),
        dropped=STOCHASTIC_ATTRIBUTES if call.fresh else (),
    )


@dataclass
class _AfterIteration:
    """Called after each iteration: records it, validates, and calls the hooks of the listener."""

    task: FitTask
    ready: FullBatch
    losses: list[float] = field(default_factory=list)

    def __call__(self, point: Callable[[], np.ndarray], loss: float, seconds: float) -> bool:
        """Record an iteration.

        Parameters
        ----------
        point : callable
            Returns the parameters after the iteration.
        loss : float
        seconds : float
            The time that the iteration took.

        Returns
        -------
        bool
            Whether to stop.
        """
        run, validate, listener = self.ready.run, self.ready.validate, self.task.listener
        self.losses.append(loss)
        run.record_epoch(loss, seconds=seconds)

        def params() -> np.ndarray:
            return point().astype(self.task.problem.params.dtype, copy=False)

        if validate is not None:
            run.record_validation(*validate(params()))
        if listener is None:
            return False
        listener.offer(lambda: self.task.attributes_at(params(), self.losses))
        listener.begin_epoch()
        return listener.end_epoch()
