"""Preparing: turn requests into members of a group, each with its rows and its initial state.

Requests on the same rows share the fitted steps around their networks. If their targets, initial
weights and random numbers are equal, too, they also share the problem and the training set-up; only
their settings differ.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from bpestimator.estimators import (
    Call,
    FitTask,
    Problem,
    Training,
    Validated,
    prepare_stochastic,
    problem_of,
    problem_of_rows,
    recorded_warnings,
    settings_of,
    start_parameters,
    task_of,
    validate,
)
from bpestimator.lockstep.nested import StepsAround, fit_around, network_of
from bpestimator.lockstep.requests import Alone, FitRequest, take, weight_of_rows

NEW = Call(incremental=False, fresh=True)


class Member(NamedTuple):
    """A fit that is ready to train in a group.

    number : the number of its request
    estimator : the clone to fit
    task, training : those of its network; members with the same start share ``training``
    wrap : takes the clone with a trained network, returns it with the fitted steps around it
    warnings : the warnings that its own ``fit`` would have issued so far
    stackable : whether it can train as one array with members on other rows
    """

    number: int
    estimator: Any
    task: FitTask
    training: Training
    wrap: Callable[[Any], Any]
    warnings: list[Warning]
    stackable: bool

    @property
    def form(self) -> tuple[Hashable, ...]:
        """What must be equal for members to train as one array."""
        problem, batches = self.task.problem, self.training.batches
        return (
            problem.spec,
            problem.x.dtype,
            batches.n_steps,
            batches.batch_size if batches.n_steps > 1 else None,
            # The diagnostics need the last batches of all models to be equally large.
            batches.n_rows if self.training.rules.diagnostics else None,
            problem.weight is None,
            self.training.validate is None,
            None if self.stackable else id(batches),
        )

    @property
    def n_bytes(self) -> int:
        """The bytes of its rows, and of their copy.

        Rows are copied if they are not in C order, or may get a column of ones.
        """
        x = self.task.problem.x
        if not isinstance(x, np.ndarray):
            return 0
        is_copied = not x.flags.c_contiguous or self.training.batches.first_units
        return int(x.nbytes) * (2 if is_copied else 1)


class Preparer:
    """Turns requests into members, and validates shared data once."""

    def __init__(self) -> None:
        self._validated: dict[Hashable, Validated | None] = {}

    def members(
        self, requests: Sequence[FitRequest], numbers: Sequence[int]
    ) -> tuple[list[Member], dict[int, Alone]]:
        """Prepare requests on the same rows.

        Parameters
        ----------
        requests : sequence of FitRequest
        numbers : sequence of int
            Which of them to prepare.

        Returns
        -------
        members : list of Member
        failed : dict
            By number, the reason why a request must train alone.
        """
        first = requests[numbers[0]]
        clones = {number: clone(requests[number].estimator) for number in numbers}
        with recorded_warnings() as step_warnings:
            try:
                weight = weight_of_rows(first, first.rows)
                around = self._around(first, clones[numbers[0]])
            except Exception as error:  # whatever a step raises, ``fit`` raises it again
                return [], dict.fromkeys(numbers, _failure(error))
        members: list[Member] = []
        failed: dict[int, Alone] = {}
        for same_start in _by_start(clones):
            with recorded_warnings() as problem_warnings:
                try:
                    networks = [network_of(clones[number]) for number in same_start]
                    tasks, data_warnings = self._tasks(first, around, weight, networks)
                    training = prepare_stochastic(tasks[0])
                except (TypeError, ValueError) as error:  # ``fit`` raises it again
                    failed |= dict.fromkeys(same_start, _failure(error))
                    continue
            problem = tasks[0].problem
            warnings = [
                *step_warnings,
                *problem_warnings,
                *data_warnings,
                *problem.warnings,
                *training.warnings,
            ]
            stackable = _is_stackable(problem, shuffle=bool(tasks[0].settings.shuffle))
            members += [
                Member(number, clones[number], task, training, around.wrap, warnings, stackable)
                for number, task in zip(same_start, tasks, strict=True)
            ]
        return members, failed

    def _around(self, request: FitRequest, estimator: Any) -> StepsAround:
        """The fitted steps around the network; if there are none, the data is not copied."""
        if network_of(estimator) is estimator:
            return StepsAround(None, None, lambda one: one)
        data, rows = request.data, request.rows
        return fit_around(estimator, take(data.X, rows), take(data.y, rows))

    def _tasks(
        self, request: FitRequest, around: StepsAround, weight: Any, networks: list[Any]
    ) -> tuple[list[FitTask], list[Warning]]:
        """One task for each network, with one problem for all; and warnings of the data."""
        settings = [settings_of(one) for one in networks]
        data, problem = self._problem(request, around, weight, networks[0], settings[0])
        tasks = [
            task_of(network, own, NEW, data, problem)
            for network, own in zip(networks, settings, strict=True)
        ]
        return tasks, data.warnings

    def _problem(
        self, request: FitRequest, around: StepsAround, weight: Any, network: Any, settings: Any
    ) -> tuple[Validated, Problem]:
        if around.X is not None:
            data = validate(network, around.X, around.y, weight, NEW)
            return data, problem_of(network, settings, NEW, data)
        validation = _validation_of(request)
        if request.rows is not None and _may_use_in_place(request, settings):
            shared = self._validated_once(request, network)
            if shared is not None:
                return shared, problem_of_rows(network, settings, shared, request.rows, validation)
        X, y, rows = request.data.X, request.data.y, request.rows
        data = validate(network, take(X, rows), take(y, rows), weight, NEW)
        return data, problem_of(network, settings, NEW, data, validation=validation)

    def _validated_once(self, request: FitRequest, network: Any) -> Validated | None:
        """All rows of the data, validated once for all requests; None if a row is not allowed."""
        key = (id(request.data), id(request.sample_weight), type(network))
        if key not in self._validated:
            self._validated[key] = _validated(request, network)
        return self._validated[key]


def _failure(error: Exception) -> Alone:
    first_line = str(error).partition("\n")[0]
    return Alone(f"its fit fails: {first_line}")


def _validated(request: FitRequest, network: Any) -> Validated | None:
    data = request.data
    with recorded_warnings() as warned:
        try:
            found = validate(network, data.X, data.y, request.sample_weight, NEW)
        except (TypeError, ValueError):  # the rows of a single request may still be allowed
            return None
    # Batches gather rows in C order: one copy for all requests, if one is needed.
    X = np.ascontiguousarray(found.X) if isinstance(found.X, np.ndarray) else found.X
    return replace(found, X=X, warnings=[*warned, *found.warnings])


def _validation_of(request: FitRequest) -> tuple[Any, Any, Any]:
    """What ``fit`` takes as X_val, y_val and sample_weight_val."""
    rows = request.validation_rows
    if rows is None:
        return None, None, None
    data = request.data
    return take(data.X, rows), take(data.y, rows), weight_of_rows(request, rows)


def _may_use_in_place(request: FitRequest, settings: Any) -> bool:
    """Whether batches can be taken from X itself rather than from the copy X[rows].

    Not if this could change how sums round. Without shuffling, and for the rows that early
    stopping holds out, they depend on the memory layout of X[rows]; for sparse rows, on the order
    of the entries.
    """
    X = request.data.X
    if hasattr(X, "tocsr"):
        return False
    if isinstance(X, list) or (isinstance(X, np.ndarray) and X.flags.c_contiguous):
        return True
    holds_out = settings.early_stopping and request.validation_rows is None
    return bool(settings.shuffle and not holds_out)


def _by_start(clones: dict[int, Any]) -> list[list[int]]:
    """Lists of the numbers of estimators with equal targets, initial weights and random numbers."""
    parts: dict[Hashable, list[int]] = {}
    for number, estimator in clones.items():
        settings = settings_of(network_of(estimator))
        start = tuple(getattr(settings, name) for name in start_parameters(settings))
        parts.setdefault(start, []).append(number)
    return list(parts.values())


def _is_stackable(problem: Problem, *, shuffle: bool) -> bool:
    """Whether models can train as one array with models on other rows."""
    x, weight = problem.x, problem.weight
    if not isinstance(x, np.ndarray):
        return False
    if weight is not None and problem.rows is not None:
        weight = weight[problem.rows]
    is_gathered_in_c_order = shuffle or x.flags.c_contiguous
    return bool(is_gathered_in_c_order and (weight is None or (weight > 0).all()))
