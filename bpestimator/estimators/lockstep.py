"""Lockstep: fit many estimators on the same data at once, each as if it were alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from math import ceil
from numbers import Integral
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
    Monitor,
    Schedule,
    TrainState,
    group_size,
    spread,
    stacked,
    train_in_lockstep,
)

# Below so many at once, the models' buffers leave the cache sooner than calls are saved.
SMALLEST_GROUP = 3

# Parameters that may differ within a group: numbers that only enter formulas.
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
    if est.max_time is not None:
        return "max_time is the time of one fit"
    if est.verbose:
        return "verbose tells of one fit at a time"
    if has_callbacks(est):
        return "callbacks are told of one fit at a time"
    return None


def lockstep_key(est: Any) -> str:
    """What estimators in one group have in common, where :func:`why_alone` finds no reason."""
    same = {name: value for name, value in est.get_params(False).items() if name not in NUMERIC}
    rules, _ = rules_of(est, len(options.hidden_layer_sizes(est.hidden_layer_sizes)))
    optimizer, schedule, dropout = rules.optimizer, rules.schedule, rules.dropout
    kind = (type(optimizer).__name__, getattr(optimizer, "nesterov", None))
    # Which layers drop, not how much: each that does takes its share of the random numbers.
    dropping = None if dropout is None else [bool(rate) for rate in dropout.rates]
    shape = "invscaling" if isinstance(schedule, InvScaling) else repr(schedule)
    return repr((type(est).__name__, sorted(same.items()), kind, shape, dropping))


def fit_in_lockstep(
    estimators: Sequence[BaseBackprop],
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    monitor: Callable[[int], Monitor] | None = None,
) -> list[Fit | None]:
    """Fit estimators of one :func:`lockstep_key` on the same data.

    Parameters
    ----------
    estimators : sequence of BaseBackprop
        Unfitted. They are changed in place.
    X, y, sample_weight
        As ``fit`` takes them.
    monitor : callable, optional
        From the number of models in training to what is told of their epochs.

    Returns
    -------
    list of Fit or None
        None for an estimator that is left unfitted: where lockstep does not pay, or where its
        own ``fit`` would raise an error.
    """
    first = estimators[0]
    fits: list[Fit | None] = [None] * len(estimators)
    start = perf_counter()
    with warnings.catch_warnings(record=True) as common:
        warnings.simplefilter("always")
        call = FitCall(incremental=False, fresh=True)
        try:
            problem = first._problem(X, y, sample_weight, (None, None, None), call)
            training = training_of(first, problem, call)
        except Exception:  # whatever it is, the estimator's own fit will say so
            return fits
    learnt_of_data = vars(first).keys() - first.get_params(False).keys()
    for est in estimators[1:]:
        est.__dict__.update({name: vars(first)[name] for name in learnt_of_data})
    at_once = group_size(problem.spec, training.batches.batch_size, problem.x.dtype.itemsize)
    if min(at_once, len(estimators)) < SMALLEST_GROUP:
        return fits
    n_groups = ceil(len(estimators) / at_once)
    rng_state, generator = problem.rng.get_state(), training.state.generator
    draws: Any = None if generator is None else generator.bit_generator.state
    told = [warning.message for warning in common if isinstance(warning.message, Warning)]
    for numbers in np.array_split(np.arange(len(estimators)), n_groups):
        problem.rng.set_state(rng_state)
        if generator is not None:
            generator.bit_generator.state = draws
        group = [estimators[number] for number in numbers]
        endings = _fit_group(group, problem, training, call, monitor)
        seconds = (perf_counter() - start) / len(group)
        for number, ending in zip(numbers, endings, strict=True):
            if ending is not None:
                fits[number] = Fit([*told, *ending], seconds)
        start = perf_counter()
    return fits


def _fit_group(
    group: list[BaseBackprop],
    problem: Problem,
    training: Training,
    call: FitCall,
    monitor: Callable[[int], Monitor] | None,
) -> list[list[Warning] | None]:
    """Train a group and publish each; what each warns of, or None if it failed."""
    n_hidden = len(problem.spec.sizes) - 2
    rules, rates = zip(*(rules_of(est, n_hidden) for est in group), strict=True)
    together = stacked(rules)
    state: TrainState = spread(training.state, rates, together)
    endings: list[list[Warning] | None] = [None] * len(group)
    product = largest_product(problem.spec.sizes, training.batches.batch_size)
    with blas_threads(product):
        for number, own_state, reason in train_in_lockstep(
            problem.spec,
            training.batches,
            together,
            state,
            validate=training.validate,
            monitor=monitor,
        ):
            own = training._replace(rules=rules[number], state=own_state, rate=rates[number])
            try:
                outcome = conclude(group[number], problem, call, own, reason)
            except ValueError:  # its own fit will say so
                continue
            endings[number] = [] if outcome.warning is None else [outcome.warning]
    return endings
