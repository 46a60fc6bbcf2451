"""The training loop: epoch after epoch, until every model stops or time is up.

After each epoch a model's loss is written to its history, the model is validated, and the
stopping rule decides whether it goes on. One loop serves one model and many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import nan
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.nn.network import NetworkSpec
from bpestimator.training.blocks import BatchesInBlocks
from bpestimator.training.epoch import EpochTrainer
from bpestimator.training.rules import TrainingRules
from bpestimator.training.state import Run, TrainState
from bpestimator.training.stopping import Log, StopReason, Verdict

# Elements in NumPy's own buffers, 8192 by default. If several rows of an array with gaps, or of a
# broadcast one, fit into such a buffer, NumPy copies them there before it computes. Into so small a
# one they mostly do not fit: the L2 penalty of stacked models takes a third of the time, biases and
# masks an eighth less. With a smaller one still, casting masks costs more than that saves.
UFUNC_BUFFER = 1024


class Validation(NamedTuple):
    """A model's score on held-out rows, where greater is better, and its loss."""

    score: float
    loss: float


Validate = Callable[[Array], Validation]


class Listener(Protocol):
    """Hooks called before and after each epoch; ``end_epoch`` returns True to stop."""

    def begin_epoch(self) -> None: ...

    def end_epoch(self) -> bool: ...


def train(
    spec: NetworkSpec,
    batches: BatchesInBlocks,
    rules: TrainingRules,
    state: TrainState,
    *,
    validate: Sequence[Validate] | None = None,
    log: Log | None = None,
    listener: Listener | None = None,
    stopped_states: dict[int, TrainState] | None = None,
    enough: int | None = None,
) -> StopReason:
    """Advance ``state`` until every model stops or ``rules.max_epochs`` have passed.

    Parameters
    ----------
    spec : NetworkSpec
    batches : Batches or StackedBatches
    rules : TrainingRules
    state : TrainState
        Changed in place. Of several models, one that stops keeps the parameters it
        stopped with.
    validate : sequence of callable, optional
        One per model: takes its parameters, of shape (P,), and returns a Validation. In a run
        that follows its score, the score decides when to stop, and the run keeps the best
        parameters.
    log : callable, optional
        Takes each line of the log.
    listener : Listener, optional
    stopped_states : dict, optional
        Receives the state of each of several models that stops, by its place among them.
    enough : int, optional
        Training returns when so many models have stopped; None for all.

    Returns
    -------
    StopReason
    """
    models = _Models(state, rules, validate, log, stopped_states)
    hooks = None if listener is None else _Hooks(listener)
    enough = len(state.runs) if enough is None else enough
    start = perf_counter()
    try:
        with np.errstate(all="ignore"), _ufunc_buffer(UFUNC_BUFFER):
            trainer = EpochTrainer(spec, batches, rules, state)
            return _epochs(trainer, models, hooks, rules, enough, start)
    except KeyboardInterrupt:
        for run in state.runs:
            run.mend()
        return StopReason.INTERRUPTED
    finally:
        models.restore()


def _epochs(
    trainer: EpochTrainer,
    models: _Models,
    hooks: _Hooks | None,
    rules: TrainingRules,
    enough: int,
    start: float,
) -> StopReason:
    """Train epoch after epoch; the reason why that ends."""
    now = start
    for _ in range(rules.max_epochs):
        if hooks is not None:
            hooks.begin_epoch()
        models.begin_epoch()
        losses = trainer.epoch()
        began, now = now, perf_counter()
        models.end_epoch(losses, trainer.rates(), now - began, trainer.measures())
        if hooks is not None and hooks.end_epoch():
            return StopReason.CALLBACK
        if len(models.kept_parameters) >= enough:
            return StopReason.DIVERGED if models.all_diverged() else StopReason.CONVERGED
        if now - start > rules.max_seconds:
            return StopReason.MAX_TIME
    return StopReason.MAX_EPOCHS


class _Model(NamedTuple):
    """One model: its progress, its validation, and views of its parameters and initial rate."""

    run: Run
    params: Array
    initial_rate: Array
    validate: Validate | None


class _Models:
    """The models in training, and those that have stopped.

    Attributes
    ----------
    kept_parameters : list of (ndarray, ndarray)
        Of each model that has stopped, its parameters and a copy made then.
    """

    def __init__(
        self,
        state: TrainState,
        rules: TrainingRules,
        validate: Sequence[Validate] | None,
        log: Log | None,
        stopped_states: dict[int, TrainState] | None,
    ) -> None:
        self._state, self._rules, self._log = state, rules, log
        self._stopped_states = stopped_states
        each = [None] * len(state.runs) if validate is None else map(_with_usual_buffer, validate)
        lead = state.params.shape[:-1]
        self._running = {
            number: _Model(run, state.params[index], state.initial_rate[index], validates)
            for number, (index, run, validates) in enumerate(
                zip(np.ndindex(lead), state.runs, each, strict=True)
            )
        }
        self.kept_parameters: list[tuple[Array, Array]] = []

    def all_diverged(self) -> bool:
        return all(run.diverged for run in self._state.runs)

    def begin_epoch(self) -> None:
        for model in self._running.values():
            model.run.begin_epoch(model.params)

    def end_epoch(
        self, losses: Array, rates: list[float], seconds: float, measures: dict[str, list[float]]
    ) -> None:
        """Record the epoch of every model in training, and stop those that are finished."""
        for number, model in list(self._running.items()):
            run, loss = model.run, losses[number]
            run.n_iter += 1
            run.loss_curve.append(loss)
            run.record_epoch(
                loss,
                learning_rate=rates[number],
                seconds=seconds,
                **({name: value[number] for name, value in measures.items()} if measures else {}),
            )
            if self._log is not None:
                self._log(f"Iteration {run.n_iter}, loss = {loss:.8f}")
            if _validate_and_decide(model, self._rules, self._log):
                self._stop(number)

    def _stop(self, number: int) -> None:
        params = self._running.pop(number).params
        self.kept_parameters.append((params, params.copy()))
        if self._stopped_states is not None:
            self._stopped_states[number] = self._state.of(number)

    def restore(self) -> None:
        """Give models that stopped the parameters that they stopped with."""
        for params, as_it_stopped in self.kept_parameters:
            params[...] = as_it_stopped


def _validate_and_decide(model: _Model, rules: TrainingRules, log: Log | None) -> bool:
    """Validate a model after the epoch just recorded; True if it stops.

    Keeps the best parameters, and shrinks the rate where the schedule says so.
    """
    run, params, initial_rate, validate = model
    if rules.stopping.diverges(run):
        run.diverged = True
        if validate is not None:
            run.record_validation(nan, nan)
        return True
    run.keep_start()
    if validate is not None:
        validation = validate(params)
        run.record_validation(*validation)
        if log is not None:
            log(f"Validation score: {validation.score:f}")
    if rules.stopping.update(run):
        run.best_params = params.copy()
    if run.stalled <= rules.stopping.patience or rules.schedule.cycles:
        return False
    verdict = rules.stopping.decide(run, float(initial_rate[0]), rules.schedule, log)
    if verdict is Verdict.SHRINK:
        initial_rate /= rules.schedule.shrink_by
    return verdict is Verdict.STOP


class _Hooks:
    """The hooks of a listener, which run with NumPy's usual buffer size."""

    def __init__(self, listener: Listener) -> None:
        self.begin_epoch = _with_usual_buffer(listener.begin_epoch)
        self.end_epoch = _with_usual_buffer(listener.end_epoch)


@contextmanager
def _ufunc_buffer(size: int) -> Iterator[None]:
    """Have NumPy buffer that many elements, in this thread; no result of a step depends on it."""
    before = np.setbufsize(size)
    try:
        yield
    finally:
        np.setbufsize(before)


def _with_usual_buffer(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the caller's, whose sums may depend on NumPy's buffer size."""
    size = np.getbufsize()

    def wrapper(*args: Any) -> Any:
        with _ufunc_buffer(size):
            return function(*args)

    return wrapper
