"""Full batch: train on all rows at once, by L-BFGS."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from bpestimator.estimators import _options as options
from bpestimator.estimators._callbacks import CallbackListener, model_of
from bpestimator.estimators._endings import (
    INTERRUPTED,
    INTERRUPTED_TOO_EARLY,
    out_of_time,
    raise_non_finite,
    reason_of_lbfgs,
)
from bpestimator.estimators._solvers import Outcome, Problem, check_scoring, continued_run
from bpestimator.estimators._threads import blas_threads, largest_product
from bpestimator.estimators._validation import Validator
from bpestimator.nn import EXACT_ROWS, rows_of
from bpestimator.training import Batch, IterationListener, Run, check_total, minimize_lbfgs

if TYPE_CHECKING:
    from bpestimator.estimators._base import BaseBackprop, FitCall

# scikit-learn's own schedules, of which its MLP says nothing either.
_WITHOUT_A_WORD = ("constant", "invscaling", "adaptive")

_STOCHASTIC_ATTRIBUTES = (
    "learning_rate_",
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "validation_loss_curve_",
    "best_validation_score_",
)


def minimize(
    est: BaseBackprop, problem: Problem, call: FitCall, listener: CallbackListener | None
) -> Outcome:
    """Train on all rows at once, by L-BFGS."""
    spec, x, _, targets, weight, params, _, held_out = problem
    for name, unused in (
        ("learning_rate", est.learning_rate not in _WITHOUT_A_WORD),
        ("learning_rate_init", est.learning_rate_init == "auto"),
        ("max_grad_norm", est.max_grad_norm is not None),
        ("dropout", options.dropout_of(est, len(spec.sizes) - 2) is not None),
        ("diagnostics", est.diagnostics),
        ("early_stopping", est.early_stopping and held_out is not None),
    ):
        if unused:
            text = f"{name}={getattr(est, name)!r} is not used by solver='lbfgs'."
            warnings.warn(text, stacklevel=5)
    # The line search needs more digits than float32 has.
    if not spec.loss.takes_labels:
        targets = targets.astype(np.float64, copy=False)
    total = np.array(x.shape[0] if weight is None else weight.sum(), np.float64)
    rows = rows_of(x.astype(np.float64, copy=False))
    batch = Batch(rows, targets, weight, total)
    check_total(batch)
    run = Run() if call.fresh else continued_run(est)
    validate = None if held_out is None else Validator(est, problem, held_out)
    check_scoring(est, validate, stacklevel=6)
    with blas_threads(largest_product(spec.sizes, min(x.shape[0], EXACT_ROWS))):
        found = minimize_lbfgs(
            spec,
            batch,
            options.penalty_of(est),
            params.astype(np.float64),
            tol=float(est.tol),
            max_iter=int(est.max_iter),
            max_fun=int(est.max_fun),
            max_seconds=options.max_seconds_of(est),
            log=print if est.verbose else None,
            listener=_iteration_listener(est, problem, run, validate, listener),
        )
    if not np.isfinite(found.params).all():
        raise_non_finite("use solver='adam'")
    if found.interrupted and found.n_iter == 0 and hasattr(est, "coefs_"):
        return Outcome(False, UserWarning(INTERRUPTED_TOO_EARLY))
    if call.fresh:
        for name in _STOCHASTIC_ATTRIBUTES:
            est.__dict__.pop(name, None)  # they would tell of an earlier fit
    est.n_iter_ = found.n_iter
    est.loss_ = found.loss
    est.t_ = 0 if call.fresh else getattr(est, "t_", 0)
    stalled = 0 if call.fresh or est._memory is None else est._memory["stalled"]
    est.history_ = run.history
    if validate is not None:
        est.validation_scores_ = run.validation_scores
        est.validation_loss_curve_ = run.validation_losses
    est.stop_reason_ = reason_of_lbfgs(est, found)
    memory = {"solver": "lbfgs", "stalled": stalled}
    est._publish(problem, found.params.astype(params.dtype, copy=False), memory)
    if found.interrupted:
        return Outcome(True, UserWarning(INTERRUPTED))
    if found.out_of_time:
        return Outcome(True, out_of_time(est, found.n_iter))
    if found.problem:
        return Outcome(
            True,
            ConvergenceWarning(
                f"lbfgs failed to converge after {found.n_iter} iteration(s): {found.problem}. "
                f"Increase max_iter (now {est.max_iter}) or max_fun (now {est.max_fun}), or "
                "scale the data, for instance with StandardScaler."
            ),
        )
    return Outcome(True)


def _iteration_listener(
    est: BaseBackprop,
    problem: Problem,
    run: Run,
    validate: Validator | None,
    listener: CallbackListener | None,
) -> IterationListener:
    """What happens after each iteration of 'lbfgs'."""
    losses: list[float] = []

    def after_iteration(point: Callable[[], np.ndarray], loss: float, seconds: float) -> bool:
        losses.append(loss)
        run.record_epoch(loss, seconds=seconds)

        def params() -> np.ndarray:
            return point().astype(problem.params.dtype, copy=False)

        if validate is not None:
            run.record_validation(*validate(params()))
        if listener is None:
            return False
        listener.offer(lambda: model_of(est, problem, params(), losses))
        listener.begin_epoch()
        return listener.end_epoch()

    return after_iteration
