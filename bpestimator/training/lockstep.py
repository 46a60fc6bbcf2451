"""Lockstep: train many models at once, each with the same bits as alone.

In small networks, calling NumPy takes as long as computing. Models with the same layer sizes and
the same number of batches of one size are stacked along a leading axis, so that one call computes
for all; only the last batch may differ in its rows. Their rows, the order of these and the initial
weights may differ; of the hyperparameters, only numbers that no code branches on: see
:func:`stacked`.

Measured per model and step, against one model at a time: 2 times faster at 5 models of 100
units on batches of 50 x 4, 1.2 times on batches of 200 x 64. Beyond the cache it is slower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bpestimator.nn.network import NetworkSpec
from bpestimator.training.batches import Batches
from bpestimator.training.blocks import BatchesInBlocks
from bpestimator.training.rules import TrainingRules
from bpestimator.training.stacked_batches import StackedBatches
from bpestimator.training.stacking import some_models
from bpestimator.training.state import Run, TrainState
from bpestimator.training.stopping import StopReason
from bpestimator.training.streams import shared_copies
from bpestimator.training.trainer import Listener, Validate, train

# The most memory that the models of a group may use: about the size of the cache.
GROUP_BYTES = 5 * 2**20
# Models that stop leave the group once they are this share of it: leaving costs new buffers.
LEAVING_SHARE = 0.2


class Ended(NamedTuple):
    """A model that has left the group.

    number : its place in the group that training began with
    state : its own state, as if it had trained alone
    reason : why it stopped
    """

    number: int
    state: TrainState
    reason: StopReason


def group_size(spec: NetworkSpec, batch_size: int, itemsize: int) -> int:
    """The number of models that fit in ``GROUP_BYTES``, perhaps 0.

    Each has three buffers of a batch's units, and five of its parameters' shape (params, grad,
    scratch, m, v).
    """
    entries = 3 * batch_size * sum(spec.sizes[1:]) + 5 * spec.layout.n_parameters
    return int(GROUP_BYTES // (entries * itemsize))


def stacked_state(
    states: Sequence[TrainState], rates: Sequence[float], rules: TrainingRules
) -> TrainState:
    """One state of several models, with the parameters, streams and progress of the states given.

    The optimizer's state is new, and each model has its own initial rate. The states given do not
    change.
    """
    params = np.stack([state.params for state in states])
    return replace(
        states[0],
        params=params,
        optimizer=rules.optimizer.init(params),
        initial_rate=np.array(rates, float)[:, None],
        streams=shared_copies([state.streams[0] for state in states]),
        runs=[deepcopy(state.runs[0]) for state in states],
    )


def train_in_lockstep(
    spec: NetworkSpec,
    batches: Sequence[Batches],
    rules: TrainingRules,
    state: TrainState,
    *,
    validate: Sequence[Validate] | None = None,
    listener: Callable[[int], Listener] | None = None,
) -> Iterator[Ended]:
    """Train a group; a model that stops leaves it, and the others go on without it.

    Parameters
    ----------
    spec, rules, state, validate
        As :func:`bpestimator.training.train` takes them, for parameters of shape (models, P).
    batches : sequence of Batches
        One per model: either the same for all, who then share a stream, or as
        :class:`bpestimator.training.StackedBatches` takes them.
    listener : callable, optional
        Takes the number of models still in the group, and returns their listener.

    Yields
    ------
    Ended
        Each model once, in the order they leave.

    Raises
    ------
    KeyboardInterrupt
        Models still in the group are lost.
    """
    # A model's number is its place in this group; its place changes whenever others leave.
    models = np.arange(len(state.runs))
    last_epoch = state.runs[0].n_iter + rules.max_epochs
    while models.size:
        stopped_states: dict[int, TrainState] = {}  # by place
        reason = train(
            spec,
            _side_by_side(batches, state, as_array=rules.drops_features),
            rules,
            state,
            validate=validate,
            listener=None if listener is None else listener(models.size),
            stopped_states=stopped_states,
            enough=max(1, int(LEAVING_SHARE * models.size)),
        )
        if reason is StopReason.INTERRUPTED:
            raise KeyboardInterrupt
        kept = np.array([k for k in range(models.size) if k not in stopped_states], int)
        left = last_epoch - max(run.n_iter for run in state.runs)
        over = left == 0 or reason is StopReason.MAX_TIME
        # Where a model stops in the last epoch, ``reason`` is the reason of that one alone.
        reason = reason if reason is StopReason.MAX_TIME else StopReason.MAX_EPOCHS
        for place, number in enumerate(models.tolist()):
            if place in stopped_states:
                yield Ended(number, stopped_states[place], _reason(state.runs[place]))
            elif over:
                yield Ended(number, state.of(place), reason)
        if over:
            return
        rules = replace(some_models(rules, kept, len(models)), max_epochs=left)
        batches = [batches[k] for k in kept]
        validate = None if validate is None else [validate[k] for k in kept]
        models, state = models[kept], _some_states(state, kept)


def _side_by_side(
    batches: Sequence[Batches], state: TrainState, *, as_array: bool
) -> BatchesInBlocks:
    if all(one is batches[0] for one in batches):
        return batches[0]
    return StackedBatches(batches, state.streams, as_array=as_array)


def _reason(run: Run) -> StopReason:
    return StopReason.DIVERGED if run.diverged else StopReason.CONVERGED


def _some_states(state: TrainState, kept: np.ndarray) -> TrainState:
    """The state of the models that stay in the group."""
    return replace(
        state,
        params=state.params[kept],
        optimizer={
            name: value[kept] if isinstance(value, np.ndarray) else value
            for name, value in state.optimizer.items()
        },
        initial_rate=state.initial_rate[kept],
        clock=state.clock.of_models(kept),
        streams=[state.streams[place] for place in kept],
        runs=[state.runs[place] for place in kept],
        rate=None,
    )
