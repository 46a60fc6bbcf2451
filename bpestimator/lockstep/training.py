"""Training groups: members of one form train as one array, each with the result it has alone."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from math import ceil
from time import perf_counter
from typing import Any

import numpy as np

from bpestimator.estimators import blas_threads, finish, largest_product, publish
from bpestimator.lockstep.grouping import SMALLEST_GROUP, TOO_FEW
from bpestimator.lockstep.nested import network_of
from bpestimator.lockstep.preparing import Member, Preparer
from bpestimator.lockstep.requests import Alone, FitRequest, Fitted
from bpestimator.training import (
    Listener,
    group_size,
    stacked,
    stacked_state,
    train_in_lockstep,
)

TOO_LARGE = "networks too large to gain from lockstep"
DROPPED_ENTRIES = "dropout of the features of a sparse matrix, which all networks would share"

# The limit on the bytes of all rows of a group, which are in memory at the same time.
MOST_BYTES = 2**28

ListenerOf = Callable[[int], Listener]


def fit_group(
    requests: Sequence[FitRequest],
    numbers: Sequence[int],
    listener: ListenerOf | None = None,
) -> dict[int, Fitted | Alone]:
    """Fit requests that may train as one array.

    Parameters
    ----------
    requests : sequence of FitRequest
    numbers : sequence of int
        Which of them to fit. All have the same key, see
        :func:`bpestimator.lockstep.grouping.key_of`.
    listener : callable, optional
        Takes the number of models in training, and returns the hooks to call before and after
        their epochs.

    Returns
    -------
    dict
        The result of each request, by its number. It is ``Alone`` if the request cannot be
        prepared, or if its group is too small.
    """
    found: dict[int, Fitted | Alone] = {}
    ready: list[Member] = []
    preparer = Preparer()
    for same_rows in by_rows(requests, numbers):
        members, failed = preparer.members(requests, same_rows)
        found |= failed
        obstacle = _obstacle_of_all(members[0], len(same_rows)) if members else None
        if obstacle is not None:
            found |= dict.fromkeys(_unprepared(numbers, found, ready), Alone(obstacle))
            break
        ready += members
        if _bytes(ready) > MOST_BYTES:
            found |= _fit_members(ready, listener)
            ready = []
    return found | _fit_members(ready, listener)


def by_rows(requests: Sequence[FitRequest], numbers: Sequence[int]) -> list[list[int]]:
    """Lists of the numbers of requests on the same rows, ordered by how many rows these are."""

    def rows(number: int) -> tuple[int, ...]:
        request = requests[number]
        shared = (request.rows, request.validation_rows, request.sample_weight, request.data)
        return request.n_rows, *map(id, shared)

    by_identity: dict[tuple[int, ...], list[int]] = {}
    for number in numbers:
        by_identity.setdefault(rows(number), []).append(number)
    return sorted(by_identity.values(), key=lambda some: requests[some[0]].n_rows)


def _unprepared(
    numbers: Sequence[int], found: dict[int, Fitted | Alone], ready: Sequence[Member]
) -> list[int]:
    prepared_numbers = found.keys() | {member.number for member in ready}
    return [number for number in numbers if number not in prepared_numbers]


def _obstacle_of_all(member: Member, n_on_same_rows: int) -> str | None:
    """The reason why neither this member nor a later one can train in lockstep, or None."""
    if _models_in_cache(member) < SMALLEST_GROUP:
        return TOO_LARGE
    is_sparse = not isinstance(member.task.problem.x, np.ndarray)
    return TOO_FEW if is_sparse and n_on_same_rows < SMALLEST_GROUP else None


def _models_in_cache(member: Member) -> int:
    """The number of models of this size that fit into the cache."""
    problem = member.task.problem
    batch_size = member.training.batches.batch_size
    return group_size(problem.spec, batch_size, problem.x.dtype.itemsize)


def _bytes(members: Sequence[Member]) -> int:
    each = {id(member.task.problem.x): member.n_bytes for member in members}
    return sum(each.values())


def _fit_members(
    members: Sequence[Member], listener: ListenerOf | None
) -> dict[int, Fitted | Alone]:
    """Train members of one form together, in groups that fit into the cache."""
    forms: dict[Hashable, list[Member]] = {}
    for member in members:
        forms.setdefault(member.form, []).append(member)
    found: dict[int, Fitted | Alone] = {}
    for some in forms.values():
        same_form = sorted(some, key=lambda member: member.training.batches.n_rows)
        obstacle = _obstacle(same_form)
        if obstacle is not None:
            found |= {member.number: Alone(obstacle) for member in same_form}
            continue
        n_groups = ceil(len(same_form) / _models_in_cache(same_form[0]))
        for places in np.array_split(np.arange(len(same_form)), n_groups):
            found |= _fit_together([same_form[place] for place in places], listener)
    return found


def _obstacle(same_form: Sequence[Member]) -> str | None:
    first = same_form[0]
    if len(same_form) < SMALLEST_GROUP:
        return TOO_FEW
    is_sparse = not isinstance(first.task.problem.x, np.ndarray)
    return DROPPED_ENTRIES if is_sparse and first.training.rules.drops_features else None


def _fit_together(
    group: Sequence[Member], listener: ListenerOf | None
) -> dict[int, Fitted | Alone]:
    """Train members as one array."""
    start = perf_counter()
    ended: dict[int, tuple[Member, list[Warning]]] = {}
    reason = ""
    try:
        for place, warnings in _train(group, listener):
            ended[place] = group[place], warnings
    except Exception as error:  # a user's code may not handle several models at once
        reason = f"in a group it raises {type(error).__name__}: {error}"
    seconds = (perf_counter() - start) / len(group)
    return {
        member.number: (
            Fitted(member.wrap(member.estimator), [*member.warnings, *ended[place][1]], seconds)
            if place in ended
            else Alone(reason or "its fit fails")
        )
        for place, member in enumerate(group)
    }


def _train(
    group: Sequence[Member], listener: ListenerOf | None
) -> Iterator[tuple[int, list[Warning]]]:
    """Train a group, and set the fitted attributes of each model when it stops.

    Yields
    ------
    place : int
        The place of the model in the group.
    warnings : list of Warning
        Its warnings after training.
    """
    spec = group[0].task.problem.spec
    n_hidden = len(spec.sizes) - 2
    rules = [member.task.settings.rules(n_hidden) for member in group]
    rates: list[Any] = [member.task.settings.initial_rate for member in group]
    trainings = [member.training for member in group]
    together = stacked(rules)
    validate = [one.validate for one in trainings if one.validate is not None]
    with blas_threads(largest_product(spec.sizes, trainings[0].batches.batch_size)):
        for place, own_state, reason in train_in_lockstep(
            spec,
            [one.batches for one in trainings],
            together,
            stacked_state([one.state for one in trainings], rates, together),
            validate=validate or None,
            listener=listener,
        ):
            member = group[place]
            own = member.training._replace(rules=rules[place], state=own_state, rate=rates[place])
            try:
                result = finish(member.task, own, reason)
            except ValueError:  # its own ``fit`` raises it again
                continue
            publish(network_of(member.estimator), member.task, result)
            yield place, result.warnings
