"""Stochastic training: an optimizer takes one step for each batch."""

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
from bpestimator.estimators.parameters import Settings, batch_size_of
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

# The order of the parameters in an optimizer's state. Pickles of 0.1.0 lack this entry: their order
# is scikit-learn's.
LAYOUT = "last layer first"


class Training(NamedTuple):
    """What stochastic training needs besides the task.

    rules, state, batches : as :func:`bpestimator.training.train` takes them
    validate : computes the score and the loss on the validation rows, or None
    rate : the initial learning rate
    scores_before : the number of validation scores of earlier calls
    warnings : warnings to issue before training
    """

    rules: TrainingRules
    state: TrainState
    batches: Batches
    validate: Validator | None
    rate: float
    scores_before: int
    warnings: list[Warning]


def prepare_stochastic(task: FitTask) -> Training:
    """Set up stochastic training.

    Raises
    ------
    ValueError
        For parameters that do not suit the data or the network.
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
    """Train batch by batch; ValueError if training leaves no finite weights."""
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
    """The result of training.

    Parameters
    ----------
    task : FitTask
    training : Training
        After training: its state has changed.
    reason : StopReason
        Why training stopped.

    Raises
    ------
    ValueError
        If training leaves no finite weights.
    """
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


def _rate_found(task: FitTask, rules: TrainingRules) -> float:
    """The rate of learning_rate_init="auto": found in the first call, kept in later ones."""
    memory = {} if task.call.fresh else task.earlier.memory
    if memory.get("rate_was_found"):  # not a rate that the user had set before
        return float(memory["learning_rate_init"])
    found = find_rate(task.settings, task.problem, rules)
    if task.settings.verbose:
        print(found.reason)
    return found.rate


def _train_state(task: FitTask, rules: TrainingRules, rate: float) -> TrainState:
    """The initial state; ``partial_fit`` continues from the state of the earlier calls."""
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
        # Seeded from the common stream, but only with dropout: without it, the stream must stay as
        # scikit-learn's.
        state.streams[0].generator = np.random.default_rng(problem.rng.randint(2**31))
    if call.incremental and not call.fresh:
        _recall_optimizer(task, state, rules, rate)
    return state


def _prepare_run(run: Run, task: FitTask) -> None:
    """Set up the run to track the validation score, or else the training loss."""
    if task.settings.early_stopping:
        run.best_loss = None
        run.validation_scores = run.validation_scores or []
        if run.best_validation_score is None:
            run.best_validation_score = -inf
        # A warm start without a better score than before keeps its last weights, as in
        # scikit-learn. A new network without any finite score keeps its initial weights.
        run.best_params = task.problem.params.copy() if task.call.fresh else None
    elif run.best_loss is None:
        run.best_loss, run.best_validation_score = inf, None
        run.validation_scores, run.validation_losses = None, None


def _recall_optimizer(task: FitTask, state: TrainState, rules: TrainingRules, rate: float) -> None:
    """Restore the optimizer's state of the earlier calls, unless solver or layers have changed."""
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
    # A copy, so that a call that fails does not change the memory.
    state.optimizer = _laid_out(deepcopy(memory["optimizer"]), memory, task.problem)
    state.clock = state.clock._replace(epoch=memory["epoch"])
    if memory["learning_rate_init"] == rate:
        state.initial_rate[:] = memory["initial_rate"]


def _laid_out(
    optimizer: dict[str, Any], memory: dict[str, Any], problem: Problem
) -> dict[str, Any]:
    """An optimizer's state in the network's layout, which pickles of 0.1.0 do not have."""
    if memory.get("layout") == LAYOUT:
        return optimizer
    spec, shape = problem.spec, problem.params.shape
    earlier = Layout(spec.sizes, from_first=True)
    return {
        name: move(value, earlier, spec.layout) if np.shape(value) == shape else value
        for name, value in optimizer.items()
    }


def _split(settings: Settings, problem: Problem) -> tuple[np.ndarray | None, HeldOut | None]:
    """The rows to train on (None for all), and the validation rows (None if there are none)."""
    if settings.early_stopping and problem.held_out is None:
        return hold_out(settings, problem)
    return problem.rows, problem.held_out


def _x_to_gather(problem: Problem, rows: np.ndarray | None) -> Any:
    """The features; a sparse matrix becomes CSR if rows are selected, as in train_test_split."""
    is_dense = isinstance(problem.x, np.ndarray)
    return problem.x if is_dense or rows is None else problem.x.tocsr()


def _first_units(spec: NetworkSpec, rules: TrainingRules, batch_size: int) -> int:
    """The argument ``first_units`` of Batches, which allows the bias trick.

    It is 0, which forbids the trick, with dropout of the features or several BLAS threads.
    """
    is_threaded = largest_product(spec.sizes, batch_size) >= THREADED_PRODUCT
    return 0 if rules.drops_features or is_threaded else spec.sizes[1]


def _best_so_far(run: Run, params: np.ndarray) -> np.ndarray:
    """The parameters with the best validation score; without early stopping, the last ones."""
    return params if run.best_params is None else run.best_params


def _params_to_keep(
    run: Run, state: TrainState, reason: StopReason
) -> tuple[np.ndarray, StopReason]:
    """The parameters of the fitted model, and the reason why training stopped.

    The reason is DIVERGED instead of the one given if the parameters are not finite.
    """
    judged = run.best_validation_score is not None and run.best_validation_score > -inf
    params = _best_so_far(run, state.params)
    # Interrupted before the first score: the last parameters are better than the initial ones.
    if reason is StopReason.INTERRUPTED and not judged:
        params = state.params
    if reason is not StopReason.DIVERGED and np.isfinite(params).all():
        return params, reason
    if judged and run.best_params is not None:
        return run.best_params, StopReason.DIVERGED
    if not run.first_epoch_was_finite or run.safe_params is None:
        # No epoch ended with finite parameters.
        return np.full_like(params, nan), StopReason.DIVERGED
    return run.safe_params, StopReason.DIVERGED


def _memory(settings: Settings, state: TrainState, rate: float) -> dict[str, Any]:
    """What the next call needs to continue exactly, besides the public attributes."""
    return {
        "hidden_layer_sizes": settings.hidden_sizes,
        "solver": settings.optimizer.name,
        "layout": LAYOUT,
        # Moments that are not finite would make every later step non-finite.
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
