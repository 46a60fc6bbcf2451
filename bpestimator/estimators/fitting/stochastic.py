"""Stochastic solvers: train the network batch by batch, and return what it has learnt."""

from __future__ import annotations

from copy import deepcopy
from math import inf, nan
from typing import Any, NamedTuple

import numpy as np

from bpestimator.estimators.fitting import messages
from bpestimator.estimators.fitting.problem import (
    FitResult,
    FitTask,
    HeldOut,
    Problem,
    network_attributes,
)
from bpestimator.estimators.fitting.rate_finder import find_rate
from bpestimator.estimators.fitting.validation import Validator, hold_out
from bpestimator.estimators.parameters import Settings
from bpestimator.estimators.threads import THREADED_PRODUCT, blas_threads, largest_product
from bpestimator.nn import Layout, NetworkSpec, move
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

# The order of the parameters in an optimizer's state. Pickles of 0.1.0 have no such entry: there
# the order was scikit-learn's.
LAYOUT = "last layer first"

# 'auto' means so many rows a batch, or all of fewer.
AUTO_BATCH_SIZE = 200


class Training(NamedTuple):
    """A task, ready to train batch by batch.

    rules, state, batches : as :func:`bpestimator.training.train` takes them
    validate : score and loss of the held-out rows, or None
    rate : the initial learning rate
    scores_before : how many validation scores earlier calls have left
    warnings : what the user should know before it begins
    """

    rules: TrainingRules
    state: TrainState
    batches: Batches
    validate: Validator | None
    rate: float
    scores_before: int
    warnings: list[Warning]


def prepare_stochastic(task: FitTask) -> Training:
    """Set up the rules, the state and the batches of a task.

    Raises
    ------
    ValueError
        For parameters that do not fit the data.
    """
    settings, call, problem = task.settings, task.call, task.problem
    rules = settings.rules(len(problem.spec.sizes) - 2, incremental=call.incremental)
    rate = settings.initial_rate
    rate = _rate_found(task, rules) if rate is None else rate
    state = _train_state(task, rules, rate)
    rows, held_out = _split(settings, problem)
    n_rows = problem.n_rows if rows is None else rows.size
    batch_size = batch_size_of(settings.batch_size, n_rows)
    batches = Batches(
        _x_to_gather(problem, rows),
        problem.encoded,
        problem.weight,
        batch_size=batch_size,
        shuffle=bool(settings.shuffle),
        rows=rows,
        epochs=rules.max_epochs,
        first_units=_first_units(problem.spec, rules, batch_size),
    )
    state.streams[0].order = batches.first_order()
    validate = None
    if held_out is not None:
        validate = Validator(settings, problem, held_out, task.model_at)
    return Training(
        rules=rules,
        state=state,
        batches=batches,
        validate=validate,
        rate=rate,
        scores_before=len(state.runs[0].validation_scores or ()),
        warnings=[
            *messages.nothing_to_score(settings, validates=validate is not None),
            *messages.batch_size_clipped(settings, n_rows),
        ],
    )


def fit_stochastic(task: FitTask, training: Training) -> FitResult:
    """Train batch by batch; ValueError if no finite weights are left."""
    state, validate, spec = training.state, training.validate, task.problem.spec
    run = state.runs[0]
    if task.listener is not None:
        task.listener.offer(
            lambda: task.attributes_at(_best_so_far(run, state.params), run.loss_curve)
        )
    with blas_threads(largest_product(spec.sizes, training.batches.batch_size)):
        reason = train(
            spec,
            training.batches,
            training.rules,
            state,
            validate=None if validate is None else [validate],
            log=print if task.settings.verbose else None,
            listener=task.listener,
        )
    return finish(task, training, reason)


def finish(task: FitTask, training: Training, reason: StopReason) -> FitResult:
    """What training has come to; ValueError if no finite weights are left."""
    settings, call, problem = task.settings, task.call, task.problem
    state, rate = training.state, training.rate
    run = state.runs[0]
    params, reason = _params_to_keep(run, state, reason)
    if not np.isfinite(params).all():
        messages.raise_non_finite(f"lower {settings.rate_name} (now {rate:g})")
    judged = len(run.validation_scores or ()) - training.scores_before
    judged = judged if settings.early_stopping else run.n_iter
    if reason is StopReason.INTERRUPTED and judged == 0 and task.earlier.has_model:
        return FitResult(None, warnings=[UserWarning(messages.INTERRUPTED_TOO_EARLY)])
    return FitResult(
        attributes={
            **_run_attributes(run, state),
            **network_attributes(problem.spec, params),
            "stop_reason_": messages.stop_reason(
                settings, run, reason, incremental=call.incremental
            ),
        },
        memory=_memory(settings, state, rate),
        warnings=messages.warnings_at_end(settings, call, run, reason, rate),
    )


def batch_size_of(batch_size: int | str, n_rows: int) -> int:
    """Rows of a batch, of so many in all."""
    return min(AUTO_BATCH_SIZE if isinstance(batch_size, str) else int(batch_size), n_rows)


def _rate_found(task: FitTask, rules: TrainingRules) -> float:
    """What learning_rate_init="auto" stands for: found once, then kept."""
    memory = {} if task.call.fresh else task.earlier.memory
    if memory.get("rate_was_found"):  # a rate that the user had set before would not be "auto"
        return float(memory["learning_rate_init"])
    found = find_rate(task.settings, task.problem, rules)
    if task.settings.verbose:
        print(found.reason)
    return found.rate


def _train_state(task: FitTask, rules: TrainingRules, rate: float) -> TrainState:
    """A new state, or the one that earlier calls left."""
    call, problem, earlier = task.call, task.problem, task.earlier
    params = problem.params
    state = TrainState(
        params=params,
        optimizer=rules.optimizer.init(params),
        initial_rate=np.array([rate]),
        streams=[RandomStream(problem.rng)],
        runs=[Run() if call.fresh else earlier.run()],
        clock=Clock(
            samples=0 if call.fresh else earlier.samples,
            horizon=inf if call.incremental else task.settings.max_iter,
        ),
    )
    _prepare_run(state.runs[0], task)
    if rules.dropout is not None:
        # One number of the stream that everything else draws from, and only if it is needed.
        state.streams[0].generator = np.random.default_rng(problem.rng.randint(2**31))
    if call.incremental and not call.fresh:
        _recall_optimizer(task, state, rules, rate)
    return state


def _prepare_run(run: Run, task: FitTask) -> None:
    """Let the run follow the validation score or the training loss."""
    if task.settings.early_stopping:
        run.best_loss = None
        run.validation_scores = run.validation_scores or []
        if run.best_validation_score is None:
            run.best_validation_score = -inf
        # A warm start that never beats the score it starts from keeps what it ends with, as
        # in scikit-learn; a new network that never has a score keeps its initial weights.
        run.best_params = task.problem.params.copy() if task.call.fresh else None
    elif run.best_loss is None:
        run.best_loss, run.best_validation_score = inf, None
        run.validation_scores, run.validation_losses = None, None


def _recall_optimizer(task: FitTask, state: TrainState, rules: TrainingRules, rate: float) -> None:
    """Let the optimizer go on where it was, unless solver or layers have changed since."""
    memory = task.earlier.memory
    (stream,) = state.streams
    if not memory:
        return
    if stream.generator is not None and memory.get("generator"):
        stream.generator = generator_from(memory["generator"])
    if memory["solver"] != rules.optimizer.name:
        return
    shapes = {name: np.shape(value) for name, value in memory["optimizer"].items()}
    if shapes != {name: np.shape(value) for name, value in state.optimizer.items()}:
        return
    # A copy, so that a call that ends in an error leaves the memory as it was.
    state.optimizer = _laid_out(deepcopy(memory["optimizer"]), memory, task.problem)
    state.clock = state.clock._replace(epoch=memory["epoch"])
    if memory["learning_rate_init"] == rate:
        state.initial_rate[:] = memory["initial_rate"]


def _laid_out(
    optimizer: dict[str, Any], memory: dict[str, Any], problem: Problem
) -> dict[str, Any]:
    """An optimizer's state in the network's layout: that of early pickles was another."""
    if memory.get("layout") == LAYOUT:
        return optimizer
    spec, shape = problem.spec, problem.params.shape
    earlier = Layout(spec.sizes, from_first=True)
    return {
        name: move(value, earlier, spec.layout) if np.shape(value) == shape else value
        for name, value in optimizer.items()
    }


def _split(settings: Settings, problem: Problem) -> tuple[np.ndarray | None, HeldOut | None]:
    """The rows to train on, None for all; and those to validate on, if there are any."""
    if settings.early_stopping and problem.held_out is None:
        return hold_out(settings, problem)
    return problem.rows, problem.held_out


def _x_to_gather(problem: Problem, rows: np.ndarray | None) -> Any:
    """The features; in CSR where some rows are taken, as train_test_split takes them."""
    is_dense = isinstance(problem.x, np.ndarray)
    return problem.x if is_dense or rows is None else problem.x.tocsr()


def _first_units(spec: NetworkSpec, rules: TrainingRules, batch_size: int) -> int:
    """What Batches take as ``first_units``: none where features drop out, or BLAS has threads."""
    is_threaded = largest_product(spec.sizes, batch_size) >= THREADED_PRODUCT
    return 0 if rules.drops_features or is_threaded else spec.sizes[1]


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
    if (
        not run.first_epoch_was_finite or run.safe_params is None
    ):  # nothing better than before the call
        return np.full_like(params, nan), StopReason.DIVERGED
    return run.safe_params, StopReason.DIVERGED


def _memory(settings: Settings, state: TrainState, rate: float) -> dict[str, Any]:
    """What the next call needs to go on exactly, besides the public attributes."""
    return {
        "hidden_layer_sizes": settings.hidden_sizes,
        "solver": settings.optimizer.name,
        "layout": LAYOUT,
        # Moments that are not finite would spoil every step to come.
        "optimizer": {} if state.runs[0].diverged else state.optimizer,
        "epoch": state.clock.epoch,
        "learning_rate_init": rate,
        "rate_was_found": settings.initial_rate is None,
        "initial_rate": float(state.initial_rate[0]),
        "stalled": state.runs[0].stalled,
        "generator": generator_state(state.streams[0].generator),
    }


def _run_attributes(run: Run, state: TrainState) -> dict[str, Any]:
    """The fitted attributes of scikit-learn's MLP after a stochastic fit, and the history."""
    return {
        "n_iter_": run.n_iter,
        "t_": state.clock.samples,
        "learning_rate_": None if state.rate is None else float(state.rate[0]),
        "loss_curve_": run.loss_curve,
        "loss_": run.loss_curve[-1] if run.loss_curve else nan,
        "best_loss_": run.best_loss,
        "history_": run.history,
        "validation_scores_": run.validation_scores,
        "validation_loss_curve_": run.validation_losses,
        "best_validation_score_": run.best_validation_score,
    }
