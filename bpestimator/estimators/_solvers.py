"""Solvers: train the network of an estimator, then publish what it learnt.

An error publishes nothing: whatever the estimator knew before, it still knows.
"""

from __future__ import annotations

import warnings
from copy import deepcopy
from math import inf, nan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from bpestimator.estimators import _options as options
from bpestimator.estimators._callbacks import CallbackListener, model_of
from bpestimator.estimators._endings import (
    INTERRUPTED,
    INTERRUPTED_TOO_EARLY,
    advice,
    divergence,
    out_of_time,
    raise_non_finite,
    stop_reason,
)
from bpestimator.estimators._rate_finder import find_rate
from bpestimator.estimators._threads import THREADED_PRODUCT, blas_threads, largest_product
from bpestimator.estimators._validation import HeldOut, Validator, hold_out
from bpestimator.nn import NetworkSpec
from bpestimator.nn.parameters import Layout, move
from bpestimator.training import (
    Batches,
    Clock,
    RandomStream,
    Run,
    StopReason,
    TrainingRules,
    TrainState,
    generator_from,
    generator_state,
    train,
)

if TYPE_CHECKING:
    from bpestimator.estimators._base import BaseBackprop, FitCall


# How parameters lie in what an optimizer remembers; pickles of 0.1.0 say nothing of it.
LAYOUT = "last layer first"


class Problem(NamedTuple):
    """What there is to learn.

    spec : the network
    x : ndarray or sparse matrix of shape (n, features)
    y : as the user wrote it, validated
    targets : y as the loss takes it
    weight : ndarray of shape (n,) or None
    params : ndarray of shape (P,), where training starts
    rng : source of whatever is random from here on
    held_out : the user's own rows to validate on, or None
    """

    spec: NetworkSpec
    x: Any
    y: Any
    targets: np.ndarray
    weight: np.ndarray | None
    params: np.ndarray
    rng: np.random.RandomState
    held_out: HeldOut | None


class Outcome(NamedTuple):
    """How training went.

    learnt : whether there is a new model; False if an interruption came too early for one
    warning : what the user should know, or None
    """

    learnt: bool
    warning: Warning | None = None


class Training(NamedTuple):
    """Everything ready to train batch by batch.

    rules, state, batches : as :func:`bpestimator.training.train` takes them
    validate : what judges by rows held out, or None
    rate : the learning rate asked for
    scores_before : validation scores of earlier calls
    """

    rules: TrainingRules
    state: TrainState
    batches: Batches
    validate: Validator | None
    rate: float
    scores_before: int


def rules_of(
    est: BaseBackprop, n_hidden: int, *, incremental: bool = False
) -> tuple[TrainingRules, float | None]:
    """How the estimator wants to be trained, and at which initial rate; None if to be found."""
    rate, schedule = options.schedule_of(est)
    options.check_schedule(schedule, est, incremental=incremental)
    rules = TrainingRules(
        optimizer=options.optimizer_of(est),
        schedule=schedule,
        penalty=options.penalty_of(est),
        stopping=options.stopping_of(est),
        max_epochs=1 if incremental else int(est.max_iter),
        max_grad_norm=options.max_grad_norm_of(est),
        max_seconds=options.max_seconds_of(est),
        dropout=options.dropout_of(est, n_hidden),
        diagnostics=bool(est.diagnostics),
    )
    return rules, rate


def training_of(est: BaseBackprop, problem: Problem, call: FitCall) -> Training:
    """Set up what :func:`descend` runs."""
    n_hidden = len(problem.spec.sizes) - 2
    rules, rate = rules_of(est, n_hidden, incremental=call.incremental)
    rate = _rate_to_use(est, problem, call, rules) if rate is None else rate
    state = _train_state(est, problem, call, rules, rate)
    batches, validate = _batches(est, problem, rules)
    state.streams[0].order = batches.first_order()
    scores_before = len(state.runs[0].validation_scores or ())
    return Training(rules, state, batches, validate, rate, scores_before)


def _rate_to_use(est: BaseBackprop, problem: Problem, call: FitCall, rules: TrainingRules) -> float:
    """What learning_rate_init="auto" stands for: found once, then kept."""
    memory = {} if call.fresh else est._memory or {}
    if memory.get("rate_was_found"):  # a rate that the user had set before would not be "auto"
        return float(memory["learning_rate_init"])
    batch_size = 200 if est.batch_size == "auto" else int(est.batch_size)
    found = find_rate(est, problem, rules, batch_size)
    if est.verbose:
        print(found.reason)
    return found.rate


def descend(
    est: BaseBackprop, problem: Problem, call: FitCall, listener: CallbackListener | None
) -> Outcome:
    """Train batch by batch."""
    training = training_of(est, problem, call)
    rules, state, batches, validate, *_ = training
    run = state.runs[0]
    log = print if est.verbose else None
    if listener is not None:
        listener.offer(
            lambda: model_of(est, problem, _best_so_far(run, state.params), run.loss_curve)
        )
    with blas_threads(largest_product(problem.spec.sizes, batches.batch_size)):
        reason = train(
            problem.spec,
            batches,
            rules,
            state,
            validate=None if validate is None else [validate],
            log=log,
            listener=listener,
        )
    return conclude(est, problem, call, training, reason)


def conclude(
    est: BaseBackprop, problem: Problem, call: FitCall, training: Training, reason: StopReason
) -> Outcome:
    """Publish what was learnt; ValueError if that is no numbers."""
    state, rate = training.state, training.rate
    run = state.runs[0]
    params, reason = _params_to_keep(run, state, reason)
    if not np.isfinite(params).all():
        raise_non_finite(f"lower {options.rate_name(est)} (now {rate:g})")
    judged = len(run.validation_scores or ()) - training.scores_before
    judged = judged if est.early_stopping else run.n_iter
    if reason is StopReason.INTERRUPTED and judged == 0 and hasattr(est, "coefs_"):
        return Outcome(False, UserWarning(INTERRUPTED_TOO_EARLY))
    _publish_run(est, run, state)
    est._publish(problem, params, _memory(est, state, rate))
    est.stop_reason_ = stop_reason(est, run, reason, incremental=call.incremental)
    if reason is StopReason.DIVERGED:
        return Outcome(True, divergence(est, run))
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


def _train_state(
    est: BaseBackprop, problem: Problem, call: FitCall, rules: TrainingRules, rate: float
) -> TrainState:
    """A new state, or the one that the fitted attributes and ``_memory`` describe."""
    params = problem.params
    state = TrainState(
        params=params,
        optimizer=rules.optimizer.init(params),
        initial_rate=np.array([rate]),
        streams=[RandomStream(problem.rng)],
        runs=[Run() if call.fresh else continued_run(est)],
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
        run.best_loss, run.best_validation_score = inf, None
        run.validation_scores, run.validation_losses = None, None
    if rules.dropout is not None:
        # One number of the stream that everything else draws from, and only if it is needed.
        state.streams[0].generator = np.random.default_rng(problem.rng.randint(2**31))
    if call.incremental and not call.fresh:
        _recall_optimizer(est, problem, state, rules, rate)
    return state


def continued_run(est: BaseBackprop) -> Run:
    memory = est._memory or {}
    scores = getattr(est, "validation_scores_", None)
    losses = getattr(est, "validation_loss_curve_", None)
    return Run(
        # Copies: a call that fails must leave the estimator's own lists as they were.
        loss_curve=list(getattr(est, "loss_curve_", ())),
        best_loss=getattr(est, "best_loss_", inf),
        validation_scores=None if scores is None else list(scores),
        validation_losses=None if losses is None else list(losses),
        best_validation_score=getattr(est, "best_validation_score_", None),
        stalled=memory.get("stalled", 0),
        history=(
            {name: list(column) for name, column in est.history_.items()}
            if hasattr(est, "history_")
            else Run().history
        ),
    )


def _recall_optimizer(
    est: BaseBackprop, problem: Problem, state: TrainState, rules: TrainingRules, rate: float
) -> None:
    """Let the optimizer go on where it was, unless solver or layers have changed since."""
    memory = est._memory
    (stream,) = state.streams
    if memory is not None and stream.generator is not None and memory.get("generator"):
        stream.generator = generator_from(memory["generator"])
    if memory is None or memory["solver"] != rules.optimizer.name:
        return
    shapes = {name: np.shape(value) for name, value in memory["optimizer"].items()}
    if shapes != {name: np.shape(value) for name, value in state.optimizer.items()}:
        return
    # A copy, so that a call that ends in an error leaves the memory as it was.
    state.optimizer = _laid_out(deepcopy(memory["optimizer"]), memory, problem)
    state.clock = state.clock._replace(epoch=memory["epoch"])
    if memory["learning_rate_init"] == rate:
        state.initial_rate[:] = memory["initial_rate"]


def _batches(
    est: BaseBackprop, problem: Problem, rules: TrainingRules
) -> tuple[Batches, Validator | None]:
    """The rows to train on, in batches, and what judges by the others, if there are any."""
    rows, held_out = None, problem.held_out
    if est.early_stopping and held_out is None:
        if not isinstance(problem.x, np.ndarray):
            problem = problem._replace(x=problem.x.tocsr())  # as train_test_split does
        rows, held_out = hold_out(est, problem)
    validate = None if held_out is None else Validator(est, problem, held_out)
    check_scoring(est, validate, stacklevel=8)
    batch_size = _batch_size(est, problem.x.shape[0] if rows is None else rows.size)
    batches = Batches(
        problem.x,
        problem.targets,
        problem.weight,
        batch_size=batch_size,
        shuffle=bool(est.shuffle),
        rows=rows,
        epochs=rules.max_epochs,
        first_units=_first_units(problem.spec, rules, batch_size),
    )
    return batches, validate


def _laid_out(
    optimizer: dict[str, Any], memory: dict[str, Any], problem: Problem
) -> dict[str, Any]:
    """What an optimizer remembers, in the network's layout: that of early pickles was another."""
    if memory.get("layout") == LAYOUT:
        return optimizer
    spec, shape = problem.spec, problem.params.shape
    earlier = Layout(spec.sizes, from_first=True)
    return {
        name: move(value, earlier, spec.layout) if np.shape(value) == shape else value
        for name, value in optimizer.items()
    }


def _first_units(spec: NetworkSpec, rules: TrainingRules, batch_size: int) -> int:
    """What Batches take as ``first_units``: none where features drop out, or BLAS has threads."""
    is_threaded = largest_product(spec.sizes, batch_size) >= THREADED_PRODUCT
    return 0 if rules.drops_features or is_threaded else spec.sizes[1]


def check_scoring(est: BaseBackprop, validate: Validator | None, *, stacklevel: int) -> None:
    """Warn whoever called ``fit``, so many frames above, of a scorer with nothing to score."""
    if est.scoring is not None and validate is None:
        warnings.warn(
            f"scoring={est.scoring!r} has nothing to score: pass X_val and y_val to fit, or set "
            "early_stopping=True with a solver other than 'lbfgs'.",
            stacklevel=stacklevel,
        )


def _batch_size(est: BaseBackprop, n_rows: int) -> int:
    if est.batch_size == "auto":
        return min(200, n_rows)
    if est.batch_size > n_rows:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped: "
            f"{est.batch_size} to {n_rows}.",
            stacklevel=8,
        )
    return min(int(est.batch_size), n_rows)


def _best_so_far(run: Run, params: np.ndarray) -> np.ndarray:
    """The best validated parameters, or the latest where the score does not decide."""
    return params if run.best_params is None else run.best_params


def _params_to_keep(
    run: Run, state: TrainState, reason: StopReason
) -> tuple[np.ndarray, StopReason]:
    """The parameters that become the model, and why training really stopped."""
    judged = run.best_validation_score is not None and run.best_validation_score > -inf
    params = _best_so_far(run, state.params)
    # Interrupted before the first score: what was learnt so far is better than nothing.
    if reason is StopReason.INTERRUPTED and not judged:
        params = state.params
    if reason is not StopReason.DIVERGED and np.isfinite(params).all():
        return params, reason
    if judged and run.best_params is not None:
        return run.best_params, StopReason.DIVERGED
    if not run.reached or run.safe_params is None:  # nothing better than before the call
        return np.full_like(params, nan), StopReason.DIVERGED
    return run.safe_params, StopReason.DIVERGED


def _memory(est: BaseBackprop, state: TrainState, rate: float) -> dict[str, Any]:
    """What the next call needs to go on exactly, besides the public attributes."""
    return {
        "solver": options.optimizer_of(est).name,
        "layout": LAYOUT,
        # Moments that are no numbers would spoil every step to come.
        "optimizer": {} if state.runs[0].diverged else state.optimizer,
        "epoch": state.clock.epoch,
        "learning_rate_init": rate,
        "rate_was_found": options.schedule_of(est)[0] is None,
        "initial_rate": float(state.initial_rate[0]),
        "stalled": state.runs[0].stalled,
        "generator": generator_state(state.streams[0].generator),
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
    est.validation_loss_curve_ = run.validation_losses
    est.best_validation_score_ = run.best_validation_score
