"""Lockstep: fit many estimators on the same data at once, each as if it were alone."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from itertools import chain, islice
from math import ceil
from numbers import Integral
from operator import itemgetter
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from bpestimator.estimators import _options as options
from bpestimator.estimators._base import BaseBackprop, FitCall
from bpestimator.estimators._sklearn_compat import has_callbacks
from bpestimator.estimators._solvers import Problem, Training, conclude, rules_of, training_of
from bpestimator.estimators._threads import blas_threads, largest_product
from bpestimator.training import (
    InvScaling,
    Listener,
    Schedule,
    group_size,
    stacked,
    stacked_state,
    train_in_lockstep,
)

# Below so many at once, the models' buffers leave the cache sooner than calls are saved.
SMALLEST_GROUP = 3

# Why an estimator is left alone, as far as only its fit can tell.
TOO_FEW = f"fewer than {SMALLEST_GROUP} of the same kind on as many rows"
TOO_LARGE = "networks too large to gain from lockstep"
DROPPED_ENTRIES = "dropout of entries of a sparse matrix, which all would share"
FAILS = "the fit fails"

# The rows of folds that train together are all in memory: at most so many bytes of them.
FOLD_BYTES = 2**28

# Parameters that may differ within a group: numbers that only enter formulas, or say where
# training starts.
NUMERIC = (
    "learning_rate",
    "learning_rate_init",
    "alpha",
    "power_t",
    "momentum",
    "beta_1",
    "beta_2",
    "epsilon",
    "max_grad_norm",
    "dropout",
    "label_smoothing",
    "random_state",
    "solver",
)


class Fit(NamedTuple):
    """How the fit of one estimator went.

    warnings : what it would have warned of
    seconds : its share of the time that its group took
    """

    warnings: list[Warning]
    seconds: float


def why_alone(est: Any) -> str | None:
    """Why an estimator cannot be fitted in lockstep with others; None if it can."""
    try:
        options.check_parameters(est, est._rules)
        if not options.is_stochastic(est):
            return "solver='lbfgs' goes its own way at every step"
        rules_of(est, len(options.hidden_layer_sizes(est.hidden_layer_sizes)))
    except (TypeError, ValueError):
        return "a parameter is not allowed"
    if not isinstance(est.random_state, Integral):
        return f"random_state={est.random_state!r} is not an int"
    if isinstance(est.learning_rate_init, str) and isinstance(est.learning_rate, (str, Schedule)):
        return "learning_rate_init='auto' is found in each fit"
    if callable(est.scoring):
        return "scoring is a function, which may look at the estimator"
    if est.max_time is not None:
        return "max_time is the time of one fit"
    if not all(map(_tells_all, est.get_params(False).values())):
        return "an object holds more than its dataclass declares"
    if est.verbose:
        return "verbose tells of one fit at a time"
    if has_callbacks(est):
        return "callbacks are told of one fit at a time"
    return None


def _tells_all(value: Any) -> bool:
    """Whether a parameter, or each of several, prints and compares by all that it holds."""
    if isinstance(value, (list, tuple)):
        return all(map(_tells_all, value))
    if not is_dataclass(value):
        return True
    return vars(value).keys() <= {part.name for part in fields(value) if part.repr and part.compare}


def lockstep_key(est: Any) -> str:
    """What estimators in one group have in common, where :func:`why_alone` finds no reason."""
    same = {name: value for name, value in est.get_params(False).items() if name not in NUMERIC}
    rules, _ = rules_of(est, len(options.hidden_layer_sizes(est.hidden_layer_sizes)))
    optimizer, schedule, dropout = rules.optimizer, rules.schedule, rules.dropout
    kind = (type(optimizer).__name__, getattr(optimizer, "nesterov", None))
    # Which layers drop, not how much: each that does takes its share of the random numbers.
    dropping = None if dropout is None else [bool(rate) for rate in dropout.rates]
    shape = "invscaling" if isinstance(schedule, InvScaling) else repr(schedule)
    smoothed = _smoothing_of(est) > 0  # another loss than for labels
    return repr((type(est).__name__, sorted(same.items()), kind, shape, dropping, smoothed))


def _smoothing_of(est: Any) -> float:
    return float(getattr(est, "label_smoothing", 0.0))


class Fold(NamedTuple):
    """Estimators to fit on the same rows.

    estimators : unfitted, of one :func:`lockstep_key`; they are changed in place
    X, y, sample_weight : as ``fit`` takes them
    """

    estimators: Sequence[BaseBackprop]
    X: Any
    y: Any
    sample_weight: Any = None


class _Ready(NamedTuple):
    """Estimators of a fold that start from the same, validated, and what that is.

    warnings : what every estimator is to warn of
    fits : to be filled in; before, and for what fails, that it fails
    stackable : whether its models can train as one array with those of other folds
    """

    estimators: Sequence[BaseBackprop]
    problem: Problem
    training: Training
    warnings: list[Warning]
    fits: list[Fit | str]
    stackable: bool


def fit_in_lockstep(
    folds: Iterable[Fold], *, listener: Callable[[int], Listener] | None = None
) -> Iterator[list[Fit | str]]:
    """Fit the estimators of each fold, several folds at once where they are small and alike.

    Parameters
    ----------
    folds : iterable of Fold
        With as many estimators each, all of one :func:`lockstep_key`.
    listener : callable, optional
        From the number of models in training to what is told of their epochs.

    Yields
    ------
    list of Fit or str
        Fold by fold. In place of a Fit, why an estimator is left unfitted: its own ``fit`` would
        raise an error, say, or it has too few companions. The first fold of networks that are
        too large, or with too few that can train together, ends it all.
    """
    asked: deque[list[list[int]]] = deque()

    def parts() -> Iterator[Fold]:
        for fold in folds:
            asked.append(_by_start(fold.estimators))
            X = fold.X
            if isinstance(X, np.ndarray) and X.ndim == 2 and fold.estimators[0].shuffle:
                # Rows are gathered from C order: one copy, if any, for all parts of a fold.
                fold = fold._replace(X=np.ascontiguousarray(X))
            for places in asked[-1]:
                yield fold._replace(estimators=[fold.estimators[k] for k in places])

    fits = _fit_parts(parts(), listener)
    for first in fits:
        places = asked.popleft()
        found = [first, *islice(fits, len(places) - 1)]
        # Where one part has ended it all, its reason holds for the parts to come.
        found += [[found[-1][0]] * len(some) for some in places[len(found) :]]
        in_order = sorted(zip(chain(*places), chain(*found), strict=True), key=itemgetter(0))
        yield [fit for _, fit in in_order]


def _by_start(estimators: Sequence[Any]) -> list[list[int]]:
    """Places of the estimators with the same targets, initial weights and random numbers."""
    parts: dict[Any, list[int]] = {}
    for place, est in enumerate(estimators):
        parts.setdefault((_smoothing_of(est), int(est.random_state)), []).append(place)
    return list(parts.values())


def _fit_parts(
    parts: Iterable[Fold], listener: Callable[[int], Listener] | None
) -> Iterator[list[Fit | str]]:
    """Fit part after part of a fold, or of one fold after the other; see fit_in_lockstep."""
    call = FitCall(incremental=False, fresh=True)
    waiting: list[_Ready] = []
    for part in parts:
        ready = _prepare(part, call)
        if waiting and not (isinstance(ready, _Ready) and _fits_beside(waiting, ready)):
            yield from _fit_folds(waiting, call, listener)
            waiting = []
        if isinstance(ready, _Ready):
            waiting.append(ready)
            continue
        yield [ready] * len(part.estimators)
        if ready in (TOO_FEW, TOO_LARGE):  # and so are the parts to come
            return
    if waiting:
        yield from _fit_folds(waiting, call, listener)


@contextmanager
def recorded_warnings() -> Iterator[list[Warning]]:
    """Keep warnings to be told later: a list, full once the block is left."""
    kept: list[Warning] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield kept
    kept += [one.message for one in caught if isinstance(one.message, Warning)]


def _prepare(fold: Fold, call: FitCall) -> _Ready | str:
    """Validate a fold once for all its estimators, or say why they are to be left alone."""
    first = fold.estimators[0]
    with recorded_warnings() as common:
        try:
            weights = (None, None, None)
            problem = first._problem(fold.X, fold.y, fold.sample_weight, weights, call)
            training = training_of(first, problem, call)
        except Exception:  # whatever it is, the estimator's own fit will say so
            return FAILS
    stackable = _is_stackable(first, problem)
    if len(fold.estimators) < SMALLEST_GROUP and not stackable:
        return TOO_FEW
    if _at_once(problem, training) < SMALLEST_GROUP:
        return TOO_LARGE
    if not isinstance(problem.x, np.ndarray) and training.rules.drops_features:
        return DROPPED_ENTRIES
    learnt_of_data = vars(first).keys() - first.get_params(False).keys()
    for est in fold.estimators[1:]:
        est.__dict__.update({name: vars(first)[name] for name in learnt_of_data})
    fits: list[Fit | str] = [FAILS] * len(fold.estimators)
    return _Ready(fold.estimators, problem, training, common, fits, stackable)


def _at_once(problem: Problem, training: Training) -> int:
    return group_size(problem.spec, training.batches.batch_size, problem.x.dtype.itemsize)


def _fits_beside(waiting: list[_Ready], other: _Ready) -> bool:
    """Whether a fold may share groups with those waiting: all alike, their rows in memory."""
    return (
        waiting[0].stackable
        and other.stackable
        and _form(waiting[0]) == _form(other)
        and _bytes_of_rows([*waiting, other]) <= FOLD_BYTES
    )


def _is_stackable(est: BaseBackprop, problem: Problem) -> bool:
    """Whether models can train as one array with those of other folds."""
    x, weight = problem.x, problem.weight
    return (
        isinstance(x, np.ndarray)
        # Rows in their own order keep the layout of the array, see Batches.
        and bool(est.shuffle or x.flags.c_contiguous)
        and (weight is None or bool((weight > 0).all()))
    )


def _form(fold: _Ready) -> tuple[Any, ...]:
    """What folds that train as one array have in common."""
    batches = fold.training.batches
    return (
        fold.problem.spec,
        fold.problem.x.dtype,
        batches.n_rows,
        batches.batch_size,
        fold.problem.weight is None,
        fold.training.validate is None,
    )


def _bytes_of_rows(folds: list[_Ready]) -> int:
    """Bytes of the folds' rows; those that are not in C order, or may bring ones, are copied."""
    total = 0
    for one in {id(one.problem.x): one for one in folds}.values():
        x = one.problem.x
        is_copied = not x.flags.c_contiguous or one.training.batches.first_units
        total += int(x.nbytes) * (2 if is_copied else 1)
    return total


def _fit_folds(
    folds: list[_Ready], call: FitCall, listener: Callable[[int], Listener] | None
) -> Iterator[list[Fit | str]]:
    """Train folds together, in groups that the cache holds; leave too few of them alone."""
    _, problem, training, *_ = folds[0]
    places = [(fold, k) for fold in range(len(folds)) for k in range(len(folds[fold].estimators))]
    if len(places) < SMALLEST_GROUP:
        for fold in folds:
            yield [TOO_FEW] * len(fold.estimators)
        return
    n_groups = ceil(len(places) / _at_once(problem, training))
    for numbers in np.array_split(np.arange(len(places)), n_groups):
        start = perf_counter()
        group = [places[number] for number in numbers]
        endings = _fit_group(folds, group, call, listener)
        seconds = (perf_counter() - start) / len(group)
        for (fold, k), ending in zip(group, endings, strict=True):
            if ending is not None:
                folds[fold].fits[k] = Fit([*folds[fold].warnings, *ending], seconds)
    yield from (fold.fits for fold in folds)


def _fit_group(
    folds: list[_Ready],
    group: list[tuple[int, int]],
    call: FitCall,
    listener: Callable[[int], Listener] | None,
) -> list[list[Warning] | None]:
    """Train estimators, by fold and place; what each warns of, None where that failed."""
    endings: list[list[Warning] | None] = [None] * len(group)
    try:
        for number, ending in _endings(folds, group, call, listener):
            endings[number] = ending
    except Exception:  # whatever it is, the own fits of those that are left will say so
        pass
    return endings


def _endings(
    folds: list[_Ready],
    group: list[tuple[int, int]],
    call: FitCall,
    listener: Callable[[int], Listener] | None,
) -> Iterator[tuple[int, list[Warning]]]:
    """Train a group and publish each as it ends; its number, and what it warns of."""
    spec = folds[0].problem.spec
    estimators = [folds[fold].estimators[k] for fold, k in group]
    trainings = [folds[fold].training for fold, _ in group]
    asked = [rules_of(est, len(spec.sizes) - 2) for est in estimators]
    rates = [rate for _, rate in asked if rate is not None]
    together = stacked([rules for rules, _ in asked])
    validate = [one.validate for one in trainings if one.validate is not None]
    with blas_threads(largest_product(spec.sizes, trainings[0].batches.batch_size)):
        for number, own_state, reason in train_in_lockstep(
            spec,
            [one.batches for one in trainings],
            together,
            stacked_state([one.state for one in trainings], rates, together),
            validate=validate or None,
            listener=listener,
        ):
            fold = folds[group[number][0]]
            own = fold.training._replace(
                rules=asked[number][0], state=own_state, rate=rates[number]
            )
            try:
                outcome = conclude(estimators[number], fold.problem, call, own, reason)
            except ValueError:  # its own fit will say so
                continue
            yield number, [] if outcome.warning is None else [outcome.warning]
