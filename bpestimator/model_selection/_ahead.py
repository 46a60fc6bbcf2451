"""Training ahead: every candidate on every fold, grouped into what can go in lockstep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.parallel import Parallel, delayed

from bpestimator.estimators import (
    OURS,
    SMALLEST_GROUP,
    TOO_FEW,
    Fit,
    Fold,
    fit_around,
    fit_in_lockstep,
    lockstep_key,
    network_of,
    recorded_warnings,
    why_alone,
    wrapped_in,
)
from bpestimator.model_selection._progress import model_epochs
from bpestimator.model_selection._stand_in import Pair


class Data(NamedTuple):
    """What a search is asked to fit.

    X, y : all rows
    params : what else ``fit`` takes, by name
    """

    X: Any
    y: Any
    params: dict[str, Any]


class Job(NamedTuple):
    """Candidates of one kind, and the folds to train them on.

    numbers : of the candidates
    candidates : unfitted, as many
    folds : their numbers
    rows : to train on, of each fold
    """

    numbers: list[int]
    candidates: list[Any]
    folds: list[int]
    rows: list[np.ndarray]

    @property
    def n_fits(self) -> int:
        return len(self.numbers) * len(self.folds)


class Plan(NamedTuple):
    """What goes in lockstep, and how many fits go alone for which reason."""

    jobs: list[Job]
    alone: Counter[str]


def plan(
    estimator: Any,
    candidates: list[dict[str, Any]],
    folds: list[np.ndarray],
    data: Data,
    n_jobs: int,
) -> Plan:
    """Which candidates train together, on folds shared among so many processes."""
    groups: dict[Any, list[tuple[int, Any]]] = {}
    if not folds:  # the search itself will say so
        return Plan([], Counter())
    alone: Counter[str] = Counter()
    for number, parameters in enumerate(candidates):
        try:
            one = clone(estimator).set_params(**clone(parameters, safe=False))
            reason = _why_alone(one, data)
        except Exception:  # the search itself will say so
            reason = "a parameter is not allowed"
        if reason is not None:
            alone[reason] += len(folds)
            continue
        key = (_setting_before(one, parameters), lockstep_key(network_of(one)))
        groups.setdefault(key, []).append((number, one))
    shares = [
        share.tolist() for share in np.array_split(np.arange(len(folds)), min(n_jobs, len(folds)))
    ]
    jobs = []
    for group in groups.values():
        for share in shares:
            alike = Counter(len(folds[k]) for k in share)  # folds of one length train together
            several = [k for k in share if len(group) * alike[len(folds[k])] >= SMALLEST_GROUP]
            if several:
                numbers, ones = zip(*group, strict=True)
                rows = [folds[k] for k in several]
                jobs.append(Job(list(numbers), list(ones), several, rows))
    together = sum(job.n_fits for job in jobs)
    few = len(candidates) * len(folds) - together - alone.total()
    if few:
        alone[TOO_FEW] += few
    return Plan(jobs, alone)


def _setting_before(one: Any, parameters: dict[str, Any]) -> tuple[Any, ...]:
    """What a candidate says of all around the network.

    Objects count as others if they are, and so do numbers of another type: to a step, 1 and 1.0
    may mean a count and a share.
    """
    names = [name for name, _ in wrapped_in(one)][1:]
    network = "__".join(names)
    return tuple(
        (name, type(value), value if isinstance(value, (str, Number)) else id(value))
        for name, value in sorted(parameters.items())
        if names and name != network and not name.startswith(f"{network}__")
    )


def _why_alone(one: Any, data: Data) -> str | None:
    if type(network_of(one)) not in OURS:
        return "the estimator is another, or a subclass"
    if _weight_of(one, data.params) is None:
        return f"fit takes {', '.join(sorted(data.params))}"
    if data.params and one is not network_of(one) and get_config()["enable_metadata_routing"]:
        return "metadata routing says who gets the weights"
    return why_alone(network_of(one))


def _weight_of(one: Any, params: Mapping[str, Any]) -> tuple[Any] | None:
    """The sample weights among ``params``; None if there is anything else among them."""
    outer = [estimator for _, estimator in wrapped_in(one)]
    steps = [est.steps[-1][0] for est in outer if type(est) is Pipeline]
    name = "__".join([*steps, "sample_weight"])
    return (params.get(name),) if set(params) <= {name} else None


def run(
    jobs: list[Job],
    candidates: list[dict[str, Any]],
    n_folds: int,
    data: Data,
    n_jobs: int,
    verbose: int,
) -> tuple[list[Pair | None], np.ndarray, Counter[str]]:
    """Train all jobs.

    Returns
    -------
    pairs : list of Pair or None
        In the order of the search: candidate by candidate, fold by fold.
    seconds : ndarray of shape (candidates, folds)
        NaN where nothing was trained.
    alone : Counter
        How many fits turned out to go alone for which reason.
    """
    pairs: list[Pair | None] = [None] * (len(candidates) * n_folds)
    seconds = np.full((len(candidates), n_folds), np.nan)
    alone: Counter[str] = Counter()
    total = sum(job.n_fits * _epochs_of(job) for job in jobs)
    with model_epochs(total, shown=bool(verbose)) as progress:
        done: Iterable[Any]
        if n_jobs == 1:
            listener = progress.listener if verbose else None
            done = (_run_job(job, data, listener) for job in jobs)
        else:
            # A backend of its own: that of the search is open, and may not be entered twice.
            done = Parallel(n_jobs=n_jobs, backend="loky")(
                delayed(_run_job)(job, data) for job in jobs
            )
        for job, fitted in zip(jobs, done, strict=True):
            progress.finish(job.n_fits * _epochs_of(job))
            for fold, rows, found_of_fold in zip(job.folds, job.rows, fitted, strict=True):
                for number, found in zip(job.numbers, found_of_fold, strict=True):
                    if isinstance(found, str):
                        alone[found] += 1
                        continue
                    one, fit = found
                    seconds[number, fold] = fit.seconds
                    pair = Pair(one, candidates[number], len(rows), fit.warnings)
                    pairs[number * n_folds + fold] = pair
    return pairs, seconds, alone


def _epochs_of(job: Job) -> int:
    return int(network_of(job.candidates[0]).max_iter)


def _run_job(job: Job, data: Data, listener: Any = None) -> list[list[Any]]:
    """Fold by fold, each candidate fitted, with how that went, or why it is left as it was."""
    prepared: list[tuple[list[Any], Any, list[Warning]]] = []

    def folds() -> Iterator[Fold]:
        for rows in (job.rows[k] for k in in_order):  # folds of one length train together
            ones = [clone(one) for one in job.candidates]
            with recorded_warnings() as told:
                fold, wrap = _fold_of(ones, rows, data)
            prepared.append((ones, wrap, told))
            yield fold

    in_order = np.argsort([len(rows) for rows in job.rows], kind="stable").tolist()
    fitted = list(fit_in_lockstep(folds(), listener=listener))
    trained = {
        fold: [
            (wrap(one), fit._replace(warnings=[*told, *fit.warnings]))
            if isinstance(fit, Fit)
            else fit
            for one, fit in zip(ones, fits, strict=True)
        ]
        # Fewer than the folds, if one shows that those to come cannot train in lockstep.
        for fold, (ones, wrap, told), fits in zip(in_order, prepared, fitted, strict=False)
    }
    to_come = [fitted[-1][-1]] * len(job.numbers)
    return [trained.get(fold, to_come) for fold in range(len(job.rows))]


def _fold_of(
    ones: list[Any], rows: np.ndarray, data: Data
) -> tuple[Fold, Callable[[Any], Any] | None]:
    """The rows of a fold, as they come to the networks, and what wraps these again."""
    first, networks = ones[0], [network_of(one) for one in ones]
    try:
        weight = (_weight_of(first, data.params) or (None,))[0]
        weight = take(weight, rows) if _has_rows(weight, data.X) else weight
        around = fit_around(first, take(data.X, rows), take(data.y, rows))
    except Exception:  # the search itself will say so, as it finds these left unfitted
        return Fold(networks, None, None), None
    return Fold(networks, around.X, around.y, weight), around.wrap


def _has_rows(values: Any, X: Any) -> bool:
    return hasattr(values, "__len__") and len(values) == _n_rows(X)


def _n_rows(X: Any) -> int:
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def take(values: Any, rows: np.ndarray) -> Any:
    """Rows of an array, a sparse matrix, a frame or a list."""
    if values is None:
        return None
    if hasattr(values, "iloc"):
        return values.iloc[rows]
    if hasattr(values, "shape"):
        return values[rows]
    return [values[row] for row in rows]
