"""Endings: what to tell the user of how training ended."""

from __future__ import annotations

from typing import Any

from sklearn.base import is_regressor
from sklearn.exceptions import ConvergenceWarning

from bpestimator.estimators import _options as options
from bpestimator.estimators._rate_finder import length_factor
from bpestimator.training import InvScaling, LBFGSResult, Run, StopReason

INTERRUPTED = "Training interrupted by user."
INTERRUPTED_TOO_EARLY = f"{INTERRUPTED} The model is what it was before."


def stop_reason(est: Any, run: Run, reason: StopReason, *, incremental: bool) -> str:
    """Why training stopped, in a word and a sentence."""
    if reason is StopReason.INTERRUPTED:
        return f"interrupted: {INTERRUPTED}"
    if reason is StopReason.CALLBACK:
        return f"callback: A callback asked to stop after {run.n_iter} epochs."
    if reason is StopReason.DIVERGED:
        return f"diverged: {_what_happened(run)}"
    if incremental:
        return "partial_fit: It trains one epoch."
    if reason is StopReason.MAX_EPOCHS:
        return f"max_iter: {est.max_iter} epochs have passed."
    if reason is StopReason.MAX_TIME:
        return f"max_time: {est.max_time:g} seconds have passed, in {run.n_iter} epochs."
    watched = "validation score" if run.follows_score else "training loss"
    said = (
        f"converged: The {watched} did not improve by tol={est.tol:g} for "
        f"{est.n_iter_no_change} epochs in a row."
    )
    risen = _rose(run) and not run.follows_score
    return f"{said} {advice(est, run, run.history['learning_rate'][-1])}" if risen else said


def reason_of_lbfgs(est: Any, found: LBFGSResult) -> str:
    """As :func:`stop_reason`."""
    if found.interrupted:
        return f"interrupted: {INTERRUPTED}"
    if found.stopped:
        return f"callback: A callback asked to stop after {found.n_iter} iterations."
    if found.out_of_time:
        return f"max_time: {est.max_time:g} seconds have passed, in {found.n_iter} iterations."
    if found.problem:
        word = "max_fun" if "EVALUATIONS" in found.problem else "max_iter"
        word = word if "LIMIT" in found.problem.upper() else "failed"
        return f"{word}: {found.problem.strip()}, after {found.n_iter} iterations."
    return f"converged: lbfgs found no further descent after {found.n_iter} iterations."


def _what_happened(run: Run) -> str:
    """How a run exploded, and what is left of it."""
    rate = run.history["learning_rate"][-1]
    loss = run.loss_curve[-1]
    kept = f"after epoch {run.epoch_kept}" if run.epoch_kept else "before the first epoch"
    kept = "with the best validation score" if run.follows_score else kept
    return (
        f"The loss was {loss:g} in epoch {run.n_iter}, at a learning rate of {rate:g}. The weights "
        f"{kept} are kept."
    )


def divergence(est: Any, run: Run) -> Warning:
    rate, name = run.history["learning_rate"][-1], options.rate_name(est)
    may_be_found = name == "learning_rate_init" and est.learning_rate_init != "auto"
    to_find_one = " learning_rate_init='auto' finds a rate." if may_be_found else ""
    return ConvergenceWarning(
        f"Training diverged. {_what_happened(run)} Try {name}={rate / 10:g}, or max_grad_norm=1, "
        f"or {_scaling(est)}.{to_find_one}"
    )


def _rose(run: Run) -> bool:
    """Whether the loss of this call's last epoch is above that of its first, or no number."""
    return not run.loss_curve[-1] <= run.loss_curve[-run.n_iter]


def _scaling(est: Any) -> str:
    text = "scale the data, for instance with StandardScaler"
    return f"{text}, and y with TransformedTargetRegressor" if is_regressor(est) else text


def out_of_time(est: Any, passed: int) -> Warning:
    return ConvergenceWarning(
        f"Stopped after max_time={est.max_time:g} seconds, in epoch or iteration {passed} of "
        f"{est.max_iter}. Increase max_time, or warm_start from here."
    )


def advice(est: Any, run: Run, rate: float) -> str:
    """What to change after a run that did not converge."""
    name = options.rate_name(est)
    is_auto = isinstance(getattr(est, name), str)
    rate_now = f"{name} ({'auto found' if is_auto else 'now'} {rate:g})"
    if _rose(run):
        first, last = run.loss_curve[-run.n_iter], run.loss_curve[-1]
        return f"The loss rose from {first:g} to {last:g}: lower {rate_now}, or {_scaling(est)}."
    if is_auto and length_factor(est, options.optimizer_of(est)) < 1:
        # A larger max_iter would bring a smaller rate, and this warning again.
        return (
            f"Raise tol (now {est.tol:g}), or stop by a validation score with early_stopping=True, "
            f"or give a higher {rate_now}, which goes by max_iter."
        )
    schedule = options.schedule_of(est)[1]
    reached = run.history["learning_rate"][-1]
    if schedule.needs_horizon:
        return (
            f"The schedule {schedule.name!r} has come to its end, at a rate of {reached:g}, as it "
            "does at max_iter: if that is what you meant, ignore this; else increase max_iter."
        )
    if isinstance(schedule, InvScaling) and reached < rate:
        rate_now += (
            f", which power_t={schedule.power_t:g} of 'invscaling' has brought down to {reached:g},"
        )
    return f"Increase max_iter, or raise {rate_now} or tol (now {est.tol:g})."


def raise_non_finite(advice: str) -> None:
    raise ValueError(
        "Solver produced non-finite parameter weights. The input data may contain large values "
        "and need to be preprocessed. Scale the features, for instance with StandardScaler, or "
        f"{advice}."
    )
