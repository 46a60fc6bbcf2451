"""Solvers: train the network of an estimator, then publish what it learnt.

An error publishes nothing: whatever the estimator knew before, it still knows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from math import inf, nan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from bpestimator.estimators import _options as options
from bpestimator.estimators._endings import (
    INTERRUPTED,
    INTERRUPTED_TOO_EARLY,
    advice,
    out_of_time,
    raise_non_finite,
    reason_of_lbfgs,
    stop_reason,
)
from bpestimator.estimators._threads import blas_threads, largest_product
from bpestimator.nn import EXACT_ROWS, NetworkSpec, predict, rows_of
from bpestimator.training import (
    Batch,
    Batches,
    Clock,
    LBFGSResult,
    Run,
    StopReason,
    TrainingRules,
    TrainState,
    check_total,
    generator_from,
    generator_state,
    minimize_lbfgs,
    train,
)

if TYPE_CHECKING:
    from bpestimator.estimators._base import BaseBackprop, FitCall


_STOCHASTIC_ATTRIBUTES = (
    "learning_rate_",
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
)


class Problem(NamedTuple):
    """What there is to learn.

    spec : the network
    x : ndarray or sparse matrix of shape (n, features)
    targets : y as the loss takes it
    weight : ndarray of shape (n,) or None
    params : ndarray of shape (P,), where training starts
    rng : source of whatever is random from here on
    """

    spec: NetworkSpec
    x: Any
    targets: np.ndarray
    weight: np.ndarray | None
    params: np.ndarray
    rng: np.random.RandomState


class Outcome(NamedTuple):
    """How training went.

    learnt : whether there is a new model; False if an interruption came too early for one
    warning : what the user should know, or None
    """

    learnt: bool
    warning: Warning | None = None


def descend(est: BaseBackprop, problem: Problem, call: FitCall) -> Outcome:
    """Train batch by batch."""
    rate, schedule = options.schedule_of(est)
    options.check_schedule(schedule, est, incremental=call.incremental)
    rules = TrainingRules(
        optimizer=options.optimizer_of(est),
        schedule=schedule,
        penalty=options.penalty_of(est),
        stopping=options.stopping_of(est),
        max_epochs=1 if call.incremental else int(est.max_iter),
        max_grad_norm=options.max_grad_norm_of(est),
        max_seconds=options.max_seconds_of(est),
        dropout=options.dropout_of(est, len(problem.spec.sizes) - 2),
    )
    state = _train_state(est, problem, call, rules, rate)
    batches, validate = _batches(est, problem)
    run = state.runs[0]
    scores_before = len(run.validation_scores or ())
    report = print if est.verbose else None
    product = largest_product(problem.spec.sizes, batches.batch_size)
    with blas_threads(product):
        reason = train(problem.spec, batches, rules, state, validate=validate, report=report)

    params = _params_to_keep(run, state, reason)
    if not np.isfinite(params).all():
        raise_non_finite(f"lower {options.rate_name(est)} (now {rate:g})")
    judged = len(run.validation_scores or ()) - scores_before if est.early_stopping else run.n_iter
    if reason is StopReason.INTERRUPTED and judged == 0 and hasattr(est, "coefs_"):
        return Outcome(False, UserWarning(INTERRUPTED_TOO_EARLY))
    _publish_run(est, run, state)
    est._publish(problem, params, _memory(est, state, rate))
    est.stop_reason_ = stop_reason(est, run, reason, incremental=call.incremental)
    if reason is StopReason.INTERRUPTED:
        return Outcome(True, UserWarning(INTERRUPTED))
    if reason is StopReason.MAX_EPOCHS and not call.incremental:
        return Outcome(
            True,
            ConvergenceWarning(
                f"Stochastic Optimizer: Maximum iterations ({est.max_iter}) reached and the "
                f"optimization hasn't converged yet. {advice(est, run, rate)}"
            ),
        )
    if reason is StopReason.MAX_TIME and not call.incremental:
        return Outcome(True, out_of_time(est, run.n_iter))
    return Outcome(True)


def minimize(est: BaseBackprop, problem: Problem, call: FitCall) -> Outcome:
    """Train on all rows at once, by L-BFGS."""
    spec, x, targets, weight, params, _ = problem
    for name, unused in (
        ("learning_rate", not isinstance(est.learning_rate, str)),
        ("max_grad_norm", est.max_grad_norm is not None),
        ("dropout", options.dropout_of(est, len(spec.sizes) - 2) is not None),
    ):
        if unused:
            text = f"{name}={getattr(est, name)!r} is not used by solver='lbfgs'."
            warnings.warn(text, stacklevel=4)
    # The line search needs more digits than float32 has.
    if not spec.loss.takes_labels:
        targets = targets.astype(np.float64, copy=False)
    total = np.array(x.shape[0] if weight is None else weight.sum(), np.float64)
    rows = rows_of(x.astype(np.float64, copy=False))
    batch = Batch(rows, targets, weight, total)
    check_total(batch)
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
            report=print if est.verbose else None,
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
    _publish_iterations(est, found, call)
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


def _publish_iterations(est: BaseBackprop, found: LBFGSResult, call: FitCall) -> None:
    """Set ``history_`` and ``stop_reason_``."""
    run = Run() if call.fresh else _continued_run(est)
    for loss, seconds in zip(found.losses, found.seconds, strict=True):
        run.note_epoch(loss, nan, seconds)
    est.history_ = run.history
    est.stop_reason_ = reason_of_lbfgs(est, found)


def _train_state(
    est: BaseBackprop, problem: Problem, call: FitCall, rules: TrainingRules, rate: float
) -> TrainState:
    """A new state, or the one that the fitted attributes and ``_memory`` describe."""
    params = problem.params
    state = TrainState(
        params=params,
        optimizer=rules.optimizer.init(params),
        initial_rate=np.array([rate]),
        rng=problem.rng,
        runs=[Run() if call.fresh else _continued_run(est)],
        clock=Clock(
            samples=0 if call.fresh else int(getattr(est, "t_", 0)),
            horizon=inf if call.incremental else est.max_iter,
        ),
    )
    run = state.runs[0]
    if est.early_stopping:
        run.best_loss = None
        run.validation_scores = run.validation_scores or []
        if run.best_validation_score is None:
            run.best_validation_score = -inf
        # A warm start that never beats the score it starts from keeps what it ends with, as
        # in scikit-learn; a new network that never has a score keeps its initial weights.
        run.best_params = params.copy() if call.fresh else None
    elif run.best_loss is None:
        run.best_loss, run.validation_scores, run.best_validation_score = inf, None, None
    if rules.dropout is not None:
        # One number of the stream that everything else draws from, and only if it is needed.
        state.generator = np.random.default_rng(problem.rng.randint(2**31))
    if call.incremental and not call.fresh:
        _recall_optimizer(est, state, rules, rate)
    return state


def _continued_run(est: BaseBackprop) -> Run:
    memory = est._memory or {}
    scores = getattr(est, "validation_scores_", None)
    return Run(
        # Copies: a call that fails must leave the estimator's own lists as they were.
        loss_curve=list(getattr(est, "loss_curve_", ())),
        best_loss=getattr(est, "best_loss_", inf),
        validation_scores=None if scores is None else list(scores),
        best_validation_score=getattr(est, "best_validation_score_", None),
        stalled=memory.get("stalled", 0),
        history=deepcopy(est.history_) if hasattr(est, "history_") else Run().history,
    )


def _recall_optimizer(
    est: BaseBackprop, state: TrainState, rules: TrainingRules, rate: float
) -> None:
    """Let the optimizer go on where it was, unless solver or layers have changed since."""
    memory = est._memory
    if memory is not None and state.generator is not None and memory.get("generator"):
        state.generator = generator_from(memory["generator"])
    if memory is None or memory["solver"] != rules.optimizer.name:
        return
    shapes = {name: np.shape(value) for name, value in memory["optimizer"].items()}
    if shapes != {name: np.shape(value) for name, value in state.optimizer.items()}:
        return
    # A copy, so that a call that ends in an error leaves the memory as it was.
    state.optimizer = deepcopy(memory["optimizer"])
    state.clock = state.clock._replace(epoch=memory["epoch"])
    if memory["learning_rate_init"] == rate:
        state.initial_rate[:] = memory["initial_rate"]


def _batches(
    est: BaseBackprop, problem: Problem
) -> tuple[Batches, Callable[[np.ndarray], float] | None]:
    """The rows to train on, in batches, and the score of the held-out rows, if there are any."""
    rows, validate = None, None
    if est.early_stopping:
        if not isinstance(problem.x, np.ndarray):
            problem = problem._replace(x=problem.x.tocsr())  # as train_test_split does
        rows, validate = _hold_out(est, problem)
    batches = Batches(
        problem.x,
        problem.targets,
        problem.weight,
        batch_size=_batch_size(est, problem.x.shape[0] if rows is None else rows.size),
        shuffle=bool(est.shuffle),
        rows=rows,
    )
    return batches, validate


def _hold_out(
    est: BaseBackprop, problem: Problem
) -> tuple[np.ndarray, Callable[[np.ndarray], float]]:
    """The rows to train on, and the score of the others as a function of the parameters."""
    spec, x, targets, weight, _, rng = problem
    if est.validation_fraction == 0:
        raise ValueError(
            "early_stopping=True needs a 'validation_fraction' above 0, such as 0.1. Got "
            f"{est.validation_fraction!r}."
        )
    rows, held_out = train_test_split(
        np.arange(x.shape[0]),
        random_state=rng,
        test_size=est.validation_fraction,
        stratify=est._strata(targets),
    )
    if held_out.size < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of "
            f"your dataset. Got {held_out.size} of {x.shape[0]} rows with "
            f"validation_fraction={est.validation_fraction}."
        )
    x_val, targets_val = x[held_out], targets[held_out]
    weight_val = None if weight is None else weight[held_out]
    if weight_val is not None and not weight_val.any():
        raise ValueError(
            f"No row of the validation set counts: the weights of all {held_out.size} are zero. "
            "Increase 'validation_fraction', or give more rows or classes a weight above 0."
        )

    def validate(params: np.ndarray) -> float:
        # All rows at once: in chunks, the last bit of a score could differ.
        predictions = predict(x_val, spec.layout.bind(params), spec, in_chunks=False)
        return est._score_predictions(targets_val, predictions, weight_val, spec.link.name)

    return rows, validate


def _batch_size(est: BaseBackprop, n_rows: int) -> int:
    if est.batch_size == "auto":
        return min(200, n_rows)
    if est.batch_size > n_rows:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped: "
            f"{est.batch_size} to {n_rows}.",
            stacklevel=6,
        )
    return min(int(est.batch_size), n_rows)


def _params_to_keep(run: Run, state: TrainState, reason: StopReason) -> np.ndarray:
    """The best validated parameters, or the last ones where nothing was validated."""
    # Interrupted before the first score: what was learnt so far is better than nothing.
    unjudged = reason is StopReason.INTERRUPTED and run.best_validation_score == -inf
    return state.params if run.best_params is None or unjudged else run.best_params


def _memory(est: BaseBackprop, state: TrainState, rate: float) -> dict[str, Any]:
    """What the next call needs to go on exactly, besides the public attributes."""
    return {
        "solver": options.optimizer_of(est).name,
        "optimizer": state.optimizer,
        "epoch": state.clock.epoch,
        "learning_rate_init": rate,
        "initial_rate": float(state.initial_rate[0]),
        "stalled": state.runs[0].stalled,
        "generator": generator_state(state.generator),
    }


def _publish_run(est: BaseBackprop, run: Run, state: TrainState) -> None:
    """Set what scikit-learn's MLP tells of a stochastic fit."""
    est.n_iter_ = run.n_iter
    est.t_ = state.clock.samples
    est.learning_rate_ = None if state.rate is None else float(state.rate[0])
    est.loss_curve_ = run.loss_curve
    est.loss_ = run.loss_curve[-1] if run.loss_curve else nan
    est.best_loss_ = run.best_loss
    est.history_ = run.history
    est.validation_scores_ = run.validation_scores
    est.best_validation_score_ = run.best_validation_score
