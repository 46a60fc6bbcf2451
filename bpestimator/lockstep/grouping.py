"""Grouping: which fits may train as one array, and why the others may not."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import fields
from numbers import Integral, Real
from typing import Any

from sklearn.pipeline import Pipeline

from bpestimator.estimators import (
    BackpropClassifier,
    BackpropRegressor,
    Settings,
    batch_size_of,
    has_callbacks,
    settings_of,
    stackable_parameters,
)
from bpestimator.lockstep.nested import nested_in, network_of
from bpestimator.lockstep.requests import FitRequest
from bpestimator.lockstep.values import holds_more_than_declared, may_remember, value_key

# With fewer models in a group, fewer calls do not make up for buffers that leave the cache.
SMALLEST_GROUP = 3

TOO_FEW = f"fewer than {SMALLEST_GROUP} fits of the same kind on equally many rows"

Key = Mapping[str, Any]


def lockstep_obstacle(est: Any) -> str | None:
    """The reason why a network cannot train in lockstep with others; None if it can."""
    if type(est) not in (BackpropClassifier, BackpropRegressor):
        return f"{type(est).__name__} is not exactly BackpropClassifier or BackpropRegressor"
    try:
        settings = settings_of(est)
        if not settings.is_stochastic:
            return "solver='lbfgs' evaluates each network at different times"
        settings.rules(len(settings.hidden_sizes))
    except (TypeError, ValueError) as error:
        return f"a parameter is not allowed: {error}"
    return _obstacle_in(settings) or (
        "callbacks are called for one fit at a time" if has_callbacks(est) else None
    )


def _obstacle_in(settings: Settings) -> str | None:
    values = [getattr(settings, one.name) for one in fields(settings)]
    if not isinstance(settings.random_state, Integral):
        return f"random_state={settings.random_state!r} is not an int"
    if settings.initial_rate is None:
        return "learning_rate_init='auto' is found in each fit"
    if callable(settings.scoring):
        return "scoring is a function, which may read any attribute of the estimator"
    if settings.max_time is not None:
        return "max_time limits the time of one fit"
    if any(map(holds_more_than_declared, values)):
        return "an object holds more than its dataclass declares"
    if any(map(may_remember, values)):
        return "a function is an object that may hold state, which each fit copies"
    if settings.verbose:
        return "verbose prints one fit at a time"
    return None


def lockstep_key(est: Any) -> dict[str, Any]:
    """What must be equal for networks to train as one array, by name.

    Parameters that may differ are left out, and so are the hyperparameters of a solver.

    Parameters
    ----------
    est : BackpropClassifier or BackpropRegressor
        Without a :func:`lockstep_obstacle`.
    """
    settings = settings_of(est)
    rules = settings.rules(len(settings.hidden_sizes))
    stackable = stackable_parameters(settings)
    key: dict[str, Any] = {"estimator": type(est)}
    for one in fields(settings):
        if one.name not in stackable and one.name != "nesterovs_momentum":
            key[one.name] = value_key(getattr(settings, one.name))
    key["solver"] = type(rules.optimizer)
    for one in fields(rules.optimizer):
        value = getattr(rules.optimizer, one.name)
        is_stackable = isinstance(value, Real) and not isinstance(value, bool)
        # Plain code may branch on its numbers.
        if rules.optimizer.is_plain or not is_stackable:
            key[one.name] = value_key(value)
    schedule = rules.schedule
    # A subclass must set is_elementwise itself: what it adds may branch on its numbers.
    is_elementwise = vars(type(schedule)).get("is_elementwise", False)
    key["learning_rate"] = type(schedule) if is_elementwise else value_key(schedule)
    # Which layers have dropout, whatever their rates: each of these draws random numbers.
    key["dropout"] = None if rules.dropout is None else tuple(map(bool, rules.dropout.rates))
    # Without smoothing the loss may take labels, with smoothing it takes probabilities.
    key["label_smoothing"] = smoothing_of(est) > 0
    return key


def smoothing_of(est: Any) -> float:
    """``label_smoothing``; 0 for a regressor."""
    return float(getattr(est, "label_smoothing", 0.0))


def key_of(request: FitRequest) -> dict[str, Any]:
    """What must be equal for requests to train as one array, by name."""
    network = network_of(request.estimator)
    batch_size = batch_size_of(network.batch_size, request.n_rows)
    return {
        **lockstep_key(network),
        "the steps around the network": _steps_around(request.estimator),
        "the number of batches": -(-request.n_rows // batch_size),
        "validation rows": request.validation_rows is None,
        "sample_weight": request.sample_weight is None,
    }


def _steps_around(estimator: Any) -> Hashable:
    """The type and the parameters of each step around the network."""
    parts: list[Hashable] = []
    for _, part in list(nested_in(estimator))[:-1]:
        params = part.get_params(deep=False)
        if type(part) is Pipeline:
            name, _ = params.pop("steps")[-1]
            params |= {"before": part.steps[:-1], "name": name}
        else:
            del params["regressor"]
        parts.append((type(part), value_key(params)))
    return tuple(parts)


def grouped(requests: Sequence[FitRequest]) -> tuple[list[list[int]], dict[int, str]]:
    """Divide requests into groups that may train as one array.

    Returns
    -------
    groups : list of list of int
        The numbers of the requests of each group.
    alone : dict of int to str
        For each number of any other request, the reason why it trains alone.
    """
    alone: dict[int, str] = {}
    groups: dict[Hashable, list[int]] = {}
    keys: dict[Hashable, Key] = {}
    keys_or_obstacles: dict[Hashable, Key | str] = {}
    for number, request in enumerate(requests):
        request_key = (
            id(request.estimator),
            request.n_rows,
            request.validation_rows is None,
            request.sample_weight is None,
        )
        if request_key not in keys_or_obstacles:
            obstacle = _obstacle(request)
            keys_or_obstacles[request_key] = key_of(request) if obstacle is None else obstacle
        found = keys_or_obstacles[request_key]
        if isinstance(found, str):
            alone[number] = found
            continue
        group_key: Hashable = tuple(sorted(found.items()))
        keys[group_key] = found
        groups.setdefault(group_key, []).append(number)
    large_groups = [group for group in groups.values() if len(group) >= SMALLEST_GROUP]
    for group_key, group in groups.items():
        if len(group) < SMALLEST_GROUP:
            others = [keys[other] for other in keys if other != group_key]
            alone |= dict.fromkeys(group, _difference(keys[group_key], others))
    return large_groups, alone


def _obstacle(request: FitRequest) -> str | None:
    if request.n_rows == 0:
        return "there are no rows to train on"
    if request.validation_rows is not None and network_of(request.estimator) is not (
        request.estimator
    ):
        return "the steps around the network do not transform validation rows"
    return lockstep_obstacle(network_of(request.estimator))


def _difference(key: Key, others: Sequence[Key]) -> str:
    """In what a group that is too small differs from the group most like it."""
    differences = [[name for name in key if other.get(name) != key[name]] for other in others]
    if not differences:
        return TOO_FEW
    fewest = min(differences, key=lambda names: len(names))
    return f"differs in {', '.join(fewest)}"
