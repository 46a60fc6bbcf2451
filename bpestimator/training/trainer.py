"""The trainer: epochs of small steps against the gradient, until a rule says stop.

Per batch: gather, forward, delta, backward, penalty, step. Per epoch: record the loss,
validate, judge, ask the schedule for the next rate. One path serves one model and many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from math import inf, nan
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.buffers import empty_buffer
from bpestimator.nn.network import NetworkSpec
from bpestimator.nn.recording import Computation
from bpestimator.training.batches import Batches
from bpestimator.training.blocks import block_of, blocks
from bpestimator.training.clipping import clip
from bpestimator.training.diagnostics import Diagnostics
from bpestimator.training.dropout import Dropout
from bpestimator.training.objective import Batch, Objective, check_total
from bpestimator.training.optimizers import Optimizer
from bpestimator.training.penalties import L2
from bpestimator.training.schedules import Clock, Schedule
from bpestimator.training.state import Run, TrainState
from bpestimator.training.stopping import Log, Stopping, StopReason, Verdict

# Elements in NumPy's own buffers, 8192 unless told otherwise. Where several rows of an array with
# gaps, or of one to be repeated, fit in, NumPy copies them there before it computes: penalties of
# stacked models take a third of the time without, biases and masks an eighth less. Below this
# size the casting of masks takes longer than is won.
UFUNC_BUFFER = 1024


class Validation(NamedTuple):
    """What held-out rows say of a model: a score, more is better, and the loss."""

    score: float
    loss: float


Validate = Callable[[Array], Validation]


class Listener(Protocol):
    """Is told of every epoch, and may stop training after one."""

    def begin_epoch(self) -> None: ...

    def end_epoch(self) -> bool: ...


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
    max_grad_norm : float, or ndarray of shape lead + (1,), default=inf
        Longest gradient; a longer one is shortened before the step.
    max_seconds : float, default=inf
        Of this call; asked after each epoch.
    dropout : Dropout or None, default=None
        Draws from the state's generator.
    diagnostics : bool, default=False
        Whether the history tells of each layer, see :mod:`bpestimator.training.diagnostics`.
    """

    optimizer: Optimizer
    schedule: Schedule
    penalty: L2
    stopping: Stopping
    max_epochs: int
    max_grad_norm: Any = inf
    max_seconds: float = inf
    dropout: Dropout | None = None
    diagnostics: bool = False

    @property
    def drops_features(self) -> bool:
        """Whether features are left out, of one model at least."""
        return self.dropout is not None and bool(np.any(self.dropout.rates[0]))


class _Group(NamedTuple):
    """Batches of one size, as one more leading axis: their losses are valued all at once.

    size : rows of each
    record : ndarray of shape lead + (batches, size, n_terms)
    y, weight : ndarray of shape (..., batches, size, ...)
    norms : ndarray of shape lead + (layers, batches)
    """

    size: int
    record: Array
    y: Array
    weight: Array | None
    norms: Array


class _Running(NamedTuple):
    """A model in training: its progress, and its views of the parameters and the rates."""

    run: Run
    params: Array
    initial_rate: Array


class _Plan(NamedTuple):
    """A block of batches: the step for each, and their groups by size."""

    steps: list[Computation]
    groups: list[_Group]


class Descent:
    """Parameters on their way down: one epoch at a time, on buffers made once."""

    def __init__(
        self, spec: NetworkSpec, batches: Batches, rules: TrainingRules, state: TrainState
    ) -> None:
        self._batches, self._state = batches, state
        generators = [one.generator for one in state.streams if one.generator is not None]
        self._objective = Objective(spec, state.params, rules.penalty, rules.dropout, generators)
        lead, dtype = state.params.shape[:-1], state.params.dtype
        self._diagnostics = Diagnostics(self._objective) if rules.diagnostics else None
        self._optimizer, self._schedule = rules.optimizer, rules.schedule
        self._max_grad_norm = rules.max_grad_norm
        self._rate = np.empty((*lead, 1), dtype)
        self._factor = np.empty((*lead, rules.optimizer.n_factors), dtype)
        width = spec.loss.n_terms(spec.sizes[-1])
        self._record = empty_buffer((*lead, batches.block_size, width), dtype)
        n_layers = len(spec.sizes) - 1
        self._plans = {
            rows: self._plan(block, rows, np.empty((*lead, n_layers, len(block)), dtype))
            for rows, block in batches.blocks.items()
        }

    def _plan(self, block: list[Batch], rows: int, norms: Array) -> _Plan:
        starts = [*range(0, rows, self._batches.batch_size), rows]
        sizes = [end - start for start, end in pairwise(starts)]
        steps = [
            Computation(self._step, batch, slice(start, start + size), norms[..., k])
            for k, (batch, start, size) in enumerate(zip(block, starts, sizes, strict=False))
        ]
        groups = []
        for size in dict.fromkeys(sizes):  # one size, and perhaps a shorter last batch
            first, count = sizes.index(size), sizes.count(size)
            part = slice(starts[first], starts[first + count])
            groups.append(self._group(size, part, norms[..., first : first + count]))
        return _Plan(steps, groups)

    def _step(self, batch: Batch, rows: slice, norms: Array) -> None:
        """One step, from the rows to the changed parameters."""
        objective, state, size = self._objective, self._state, rows.stop - rows.start
        clipped = np.isfinite(self._max_grad_norm).any()
        if self._diagnostics is not None:
            self._diagnostics.keep_parameters(size)
        objective.norms(norms)
        objective.summed(batch, self._record[..., rows, :])
        if clipped:
            self._clip(batch)
        self._optimizer.begin(state.optimizer, self._rate, self._factor)
        # Plain code knows nothing of blocks, and keeps numbers in the state itself.
        n_parameters = state.params.shape[-1]
        whole = [slice(None)] if self._optimizer.is_plain else None
        for block in whole or blocks(n_parameters, state.params.itemsize):
            self._move(None if clipped else batch, block)

    def _clip(self, batch: Batch) -> None:
        """Finish the whole gradient, and shorten it where it is too long."""
        self._objective.finished(batch)
        clip(self._objective.grad, self._max_grad_norm)

    def _move(self, batch: Batch | None, block: slice) -> None:
        """Move a block of parameters, once its gradient is finished, here unless batch is None."""
        objective, state = self._objective, self._state
        params, grads = state.params[..., block], objective.grad[..., block]
        scratch = objective.scratch[..., : params.shape[-1]]
        plain = self._optimizer.is_plain
        memory = state.optimizer if plain else block_of(state.optimizer, block, state.params.shape)
        if batch is not None:
            objective.finished(batch, block)
        if self._diagnostics is not None:
            self._diagnostics.keep_gradient(block)
        self._optimizer.decay(objective.weights_in(block), self._rate)
        self._optimizer.step(params, grads, memory, self._factor, scratch)

    def _group(self, size: int, rows: slice, norms: Array) -> _Group:
        count = norms.shape[-1]
        *lead, _, width = self._record.shape
        record = self._record[..., rows, :].reshape(*lead, count, size, width)
        return _Group(size, record, *self._batches.by_batch(rows, count), norms)

    def epoch(self) -> Array:
        """Step through every batch; mean penalised loss of the epoch, model by model."""
        state, weighted = self._state, self._batches.weight is not None
        per_step, n_steps = self._schedule.per_step, self._batches.n_steps
        self._set_rate(state.clock)
        losses, taken = [], 0
        for rows in self._batches.epoch(state.streams):
            plan = self._plans[rows]
            for batch, step in zip(self._batches.blocks[rows], plan.steps, strict=True):
                if weighted and not batch.total.any():
                    check_total(batch)
                    continue  # rows that do not count teach nothing
                if per_step:
                    self._set_rate(state.clock.at(taken, n_steps))
                    taken += 1
                step()
            losses += [self._losses(group) for group in plan.groups]
        in_order = losses[0] if len(losses) == 1 else np.concatenate(losses, axis=-1)
        # Added one after the other, as scikit-learn does.
        return np.add.accumulate(in_order, -1)[..., -1:].ravel() / self._batches.n_rows

    def rates(self) -> list[float]:
        """The learning rate of the last step, model by model."""
        rates: list[float] = self._rate.ravel().tolist()
        return rates

    def measures(self) -> dict[str, list[float]]:
        """What the diagnostics say of the last step, model by model."""
        if self._diagnostics is None:
            return {}
        found = self._diagnostics.measure()
        return {name: np.ravel(value).tolist() for name, value in found.items()}

    def _set_rate(self, clock: Clock) -> None:
        self._rate[...] = self._schedule.rate(self._state.initial_rate, clock)
        self._state.rate = self._rate

    def _losses(self, group: _Group) -> Any:
        """Rows times penalised loss of each batch, of shape lead + (batches,)."""
        size, record, y, weight, norms = group
        if weight is None:
            return size * self._objective.value(record, y, None, norms, size)
        totals = np.add.reduce(weight, -1)
        losses = size * self._objective.value(record, y, weight, norms, totals)
        return np.where(totals == 0, 0.0, losses)


def train(
    spec: NetworkSpec,
    batches: Batches,
    rules: TrainingRules,
    state: TrainState,
    *,
    validate: Sequence[Validate] | None = None,
    log: Log | None = None,
    listener: Listener | None = None,
    stopped: dict[int, TrainState] | None = None,
    enough: int | None = None,
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
    validate : sequence of callable, optional
        One per model: takes its parameters, of shape (P,), and returns a Validation. In a run
        that follows its score the score decides, and the run keeps the best parameters.
    log : callable, optional
        Takes each line worth telling.
    listener : Monitor, optional
    stopped : dict, optional
        Receives, of models in lockstep, the state of each that stops, by its number.
    enough : int, optional
        How many models must have stopped for training to return; all where None.

    Returns
    -------
    StopReason
    """
    lead = state.params.shape[:-1]
    running = {
        number: _Running(run, state.params[model], state.initial_rate[model])
        for number, (model, run) in enumerate(zip(np.ndindex(lead), state.runs, strict=True))
    }
    usual_buffer = np.getbufsize()
    judges = (
        [None] * len(running)
        if validate is None
        else [_buffered(one, usual_buffer) for one in validate]
    )
    begin_epoch = None if listener is None else _buffered(listener.begin_epoch, usual_buffer)
    end_epoch = None if listener is None else _buffered(listener.end_epoch, usual_buffer)
    finished: dict[int, tuple[Array, Array]] = {}
    enough = len(running) if enough is None else enough
    start = now = perf_counter()
    try:
        with np.errstate(all="ignore"), _ufunc_buffer(UFUNC_BUFFER):
            descent = Descent(spec, batches, rules, state)
            for _ in range(rules.max_epochs):
                if begin_epoch is not None:
                    begin_epoch()
                for run, params, _ in running.values():
                    run.begin_epoch(params)
                losses = descent.epoch()
                state.clock = state.clock.after(batches.n_rows)
                began, now = now, perf_counter()
                rates, measures = descent.rates(), descent.measures()
                for number, (run, params, initial_rate) in list(running.items()):
                    run.n_iter += 1
                    run.loss_curve.append(losses[number])
                    run.record_epoch(
                        losses[number],
                        learning_rate=rates[number],
                        seconds=now - began,
                        **{name: value[number] for name, value in measures.items()},
                    )
                    if log is not None:
                        log(f"Iteration {run.n_iter}, loss = {losses[number]:.8f}")
                    if _is_finished(run, params, initial_rate, rules, judges[number], log):
                        finished[number] = params, params.copy()
                        del running[number]
                        if stopped is not None:
                            stopped[number] = state.of(number)
                if end_epoch is not None and end_epoch():
                    return StopReason.CALLBACK
                if len(finished) >= enough:
                    diverged = all(run.diverged for run in state.runs)
                    return StopReason.DIVERGED if diverged else StopReason.CONVERGED
                if now - start > rules.max_seconds:
                    return StopReason.MAX_TIME
        return StopReason.MAX_EPOCHS
    except KeyboardInterrupt:
        for run in state.runs:
            run.mend()
        return StopReason.INTERRUPTED
    finally:
        for params, as_it_stopped in finished.values():
            params[...] = as_it_stopped


@contextmanager
def _ufunc_buffer(size: int) -> Iterator[None]:
    """Have NumPy buffer that many elements, in this thread; no result of a step depends on it."""
    before = np.setbufsize(size)
    try:
        yield
    finally:
        np.setbufsize(before)


def _buffered(function: Callable[..., Any], size: int) -> Callable[..., Any]:
    """A function that is not ours, and may sum in ways that do depend on NumPy's buffers."""

    def call(*args: Any) -> Any:
        with _ufunc_buffer(size):
            return function(*args)

    return call


def _is_finished(
    run: Run,
    params: Array,
    initial_rate: Array,
    rules: TrainingRules,
    validate: Validate | None,
    log: Log | None,
) -> bool:
    """Whether a model stops after the epoch just recorded; judges, keeps, shrinks its rate."""
    if rules.stopping.explodes(run):
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
    if rules.stopping.note(run):
        run.best_params = params.copy()
    stalled = run.stalled > rules.stopping.patience and not rules.schedule.cycles
    return stalled and _stops(run, initial_rate, rules, log)


def _stops(run: Run, initial_rate: Array, rules: TrainingRules, log: Log | None) -> bool:
    """Whether a stalled run stops; if not, its rate shrinks."""
    verdict = rules.stopping.judge(run, float(initial_rate[0]), rules.schedule, log)
    if verdict is Verdict.SHRINK:
        initial_rate /= rules.schedule.shrink_by
    return verdict is Verdict.STOP
