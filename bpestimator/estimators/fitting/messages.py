"""Messages: warnings about training, and why it stopped."""

from __future__ import annotations

from sklearn.exceptions import ConvergenceWarning

from bpestimator.estimators.fitting.problem import Call
from bpestimator.estimators.fitting.rate_finder import length_factor
from bpestimator.estimators.parameters import Settings
from bpestimator.training import LBFGSResult, Run, StopReason

INTERRUPTED = "Training interrupted by user."
INTERRUPTED_TOO_EARLY = f"{INTERRUPTED} The model is what it was before the call."


def nothing_to_score(settings: Settings, *, validates: bool) -> list[Warning]:
    """The warning that there are no validation rows for ``scoring``, if this is so."""
    if settings.scoring is None or validates:
        return []
    return [
        UserWarning(
            f"scoring={settings.scoring!r} has nothing to score: pass X_val and y_val to fit, or "
            "set early_stopping=True with a solver other than 'lbfgs'."
        )
    ]


def batch_size_clipped(settings: Settings, n_rows: int) -> list[Warning]:
    """scikit-learn's warning that a batch has fewer rows than asked for, if this is so."""
    if settings.batch_size == "auto" or settings.batch_size <= n_rows:
        return []
    return [
        UserWarning(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped: "
            f"{settings.batch_size} to {n_rows}."
        )
    ]


def unused_by_lbfgs(settings: Settings, *, validates: bool) -> list[Warning]:
    """A warning for each parameter that is set although 'lbfgs' does not use it."""
    names = settings.unused_by_lbfgs()
    if settings.early_stopping and validates:
        names.append("early_stopping")
    return [
        UserWarning(f"{name}={getattr(settings, name)!r} is not used by solver='lbfgs'.")
        for name in names
    ]


def warnings_at_end(
    settings: Settings, call: Call, run: Run, reason: StopReason, rate: float
) -> list[Warning]:
    """The warnings after training.

    Parameters
    ----------
    settings : Settings
    call : Call
    run : Run
    reason : StopReason
        Why training stopped.
    rate : float
        The initial learning rate.
    """
    if reason is StopReason.DIVERGED:
        return [divergence_warning(settings, run)]
    if reason is StopReason.INTERRUPTED:
        return [UserWarning(INTERRUPTED)]
    if call.incremental:
        return []
    if reason is StopReason.MAX_EPOCHS:
        return [
            ConvergenceWarning(
                f"Stochastic Optimizer: Maximum iterations ({settings.max_iter}) reached and the "
                f"optimization hasn't converged yet. {advice(settings, run, rate)}"
            )
        ]
    return [out_of_time(settings, run.n_iter)] if reason is StopReason.MAX_TIME else []


def warnings_of_lbfgs(settings: Settings, found: LBFGSResult) -> list[Warning]:
    """The warnings after training by 'lbfgs'."""
    if found.interrupted:
        return [UserWarning(INTERRUPTED)]
    if found.out_of_time:
        return [out_of_time(settings, found.n_iter)]
    if not found.problem:
        return []
    return [
        ConvergenceWarning(
            f"lbfgs failed to converge after {found.n_iter} iteration(s): {found.problem}. "
            f"Increase max_iter (now {settings.max_iter}) or max_fun (now {settings.max_fun}), or "
            "scale the data, for instance with StandardScaler."
        )
    ]


def stop_reason(settings: Settings, run: Run, reason: StopReason, *, incremental: bool) -> str:
    """The attribute ``stop_reason_``: why training stopped, in a word and a sentence."""
    if reason is StopReason.INTERRUPTED:
        return f"interrupted: {INTERRUPTED}"
    if reason is StopReason.CALLBACK:
        return f"callback: A callback asked to stop after {run.n_iter} epochs."
    if reason is StopReason.DIVERGED:
        return f"diverged: {_divergence(run)}"
    if incremental:
        return "partial_fit: Each call trains one epoch."
    if reason is StopReason.MAX_EPOCHS:
        return f"max_iter: {settings.max_iter} epochs have passed."
    if reason is StopReason.MAX_TIME:
        return f"max_time: {settings.max_time:g} seconds have passed, in {run.n_iter} epochs."
    criterion = "validation score" if run.follows_score else "training loss"
    sentence = (
        f"converged: The {criterion} did not improve by tol={settings.tol:g} for "
        f"{settings.n_iter_no_change} epochs in a row."
    )
    if run.follows_score or not _loss_rose(run):
        return sentence
    return f"{sentence} {advice(settings, run, run.history['learning_rate'][-1])}"


def reason_of_lbfgs(settings: Settings, found: LBFGSResult) -> str:
    """The attribute ``stop_reason_`` after training by 'lbfgs'."""
    if found.interrupted:
        return f"interrupted: {INTERRUPTED}"
    if found.stopped:
        return f"callback: A callback asked to stop after {found.n_iter} iterations."
    if found.out_of_time:
        return f"max_time: {settings.max_time:g} seconds have passed, in {found.n_iter} iterations."
    if found.problem:
        word = "max_fun" if "EVALUATIONS" in found.problem else "max_iter"
        word = word if "LIMIT" in found.problem.upper() else "failed"
        return f"{word}: {found.problem.strip()}, after {found.n_iter} iterations."
    return f"converged: lbfgs found no further descent after {found.n_iter} iterations."


def _divergence(run: Run) -> str:
    """Where a run diverged, and which weights are kept."""
    rate = run.history["learning_rate"][-1]
    loss = run.loss_curve[-1]
    kept = f"after epoch {run.epoch_kept}" if run.epoch_kept else "before the first epoch"
    kept = "with the best validation score" if run.follows_score else kept
    return (
        f"The loss was {loss:g} in epoch {run.n_iter}, at a learning rate of {rate:g}. The weights "
        f"{kept} are kept."
    )


def divergence_warning(settings: Settings, run: Run) -> Warning:
    """The warning that a run diverged, with remedies."""
    rate, name = run.history["learning_rate"][-1], settings.rate_name
    may_use_auto = name == "learning_rate_init" and settings.learning_rate_init != "auto"
    auto_hint = " learning_rate_init='auto' finds a learning rate." if may_use_auto else ""
    return ConvergenceWarning(
        f"Training diverged. {_divergence(run)} Try {name}={rate / 10:g}, or max_grad_norm=1, "
        f"or {_scaling_advice(settings)}.{auto_hint}"
    )


def _loss_rose(run: Run) -> bool:
    """Whether the loss of this call's last epoch is NaN or above that of its first epoch."""
    return not run.loss_curve[-1] <= run.loss_curve[-run.n_iter]


def _scaling_advice(settings: Settings) -> str:
    text = "scale the data, for instance with StandardScaler"
    return f"{text}, and y with TransformedTargetRegressor" if settings.predicts_numbers else text


def out_of_time(settings: Settings, n_iter: int) -> Warning:
    """The warning that ``max_time`` stopped a run after ``n_iter`` epochs or iterations."""
    return ConvergenceWarning(
        f"Stopped after max_time={settings.max_time:g} seconds, in epoch or iteration {n_iter} of "
        f"{settings.max_iter}. Increase max_time, or continue with warm_start=True."
    )


def advice(settings: Settings, run: Run, rate: float) -> str:
    """The remedy for a run that did not converge."""
    name = settings.rate_name
    is_auto = isinstance(getattr(settings, name), str)
    rate_now = f"{name} ({'auto found' if is_auto else 'now'} {rate:g})"
    if _loss_rose(run):
        first, last = run.loss_curve[-run.n_iter], run.loss_curve[-1]
        scaling = _scaling_advice(settings)
        return f"The loss rose from {first:g} to {last:g}: lower {rate_now}, or {scaling}."
    if is_auto and length_factor(settings) < 1:
        # With a larger max_iter, 'auto' takes a lower rate, and the run again does not converge.
        return (
            f"Raise tol (now {settings.tol:g}), or stop by a validation score with "
            f"early_stopping=True, or set a higher {rate_now}: the larger max_iter, the lower "
            "the rate that 'auto' finds."
        )
    schedule = settings.schedule
    last_rate = run.history["learning_rate"][-1]
    if schedule.needs_horizon:
        return (
            f"The schedule {schedule.name!r} has reached its end, at a rate of {last_rate:g}, as "
            "it does at max_iter. If this is what you want, ignore this warning; otherwise "
            "increase max_iter."
        )
    if schedule.from_parameters and last_rate < rate:
        numbers = [
            f"{name}={getattr(schedule, own_name):g}"
            for name, own_name in schedule.from_parameters.items()
        ]
        rate_now += (
            f", which {schedule.name!r} with {' and '.join(numbers)} has decreased to "
            f"{last_rate:g},"
        )
    return f"Increase max_iter, or raise {rate_now} or tol (now {settings.tol:g})."


def raise_non_finite(advice: str) -> None:
    """ValueError for weights that are not finite."""
    raise ValueError(
        "Solver produced non-finite parameter weights. The input data may contain large values "
        "and need to be preprocessed. Scale the features, for instance with StandardScaler, or "
        f"{advice}."
    )
