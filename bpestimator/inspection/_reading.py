"""Reading: the score of each learning rate, from the ``cv_results_`` of a fitted search."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import NotFittedError

from bpestimator.lockstep import value_key

RATE_NAMES = ("learning_rate", "learning_rate_init")
# Messages list this many values; more would hide the rest of the message.
N_LISTED = 3


class Reading(NamedTuple):
    """The best candidate of each rate.

    rates : ndarray of shape (n_rates,), increasing
    means, errors : ndarray of shape (n_rates,), the mean score over all folds and seeds, and its
        standard error
    params : list of dict, the other parameters of each candidate
    score_name : the name of the score
    left_out : a message that names the candidates left out, with the reasons; empty if there are
        none
    """

    rates: np.ndarray
    means: np.ndarray
    errors: np.ndarray
    params: list[dict[str, Any]]
    score_name: str
    left_out: str


class _Candidate(NamedTuple):
    """A candidate, with the scores of all its seeds pooled.

    rate : the value tried as the rate; ``np.ma.masked`` if the candidate does not set it
    mean, error : the mean score over all folds and seeds, and its standard error
    params : the other parameters
    """

    rate: Any
    mean: float
    error: float
    params: dict[str, Any]

    @property
    def can_be_plotted(self) -> bool:
        return _is_number(self.rate) and bool(np.isfinite(self.mean))


def read_search(search: Any, param_name: str | None, metric: str | None) -> Reading:
    """Read the best candidate of each rate.

    Parameters
    ----------
    search : fitted search
    param_name : str or None
        The parameter that is the rate; None finds it.
    metric : str or None
        The score to read; None finds it.

    Raises
    ------
    NotFittedError
        If the search is not fitted.
    ValueError
        If the parameter or the score cannot be determined, or no candidate has both a number as
        the rate and a finite score.
    """
    if not hasattr(search, "cv_results_"):
        raise NotFittedError(
            "LearningRateDisplay.from_search takes a search, such as LockstepGridSearchCV, "
            f"that has been fitted. Got {search!r}. Call its fit first; for an estimator, use "
            "LearningRateDisplay.from_estimator."
        )
    results = search.cv_results_
    name = _rate_of(_searched(results), param_name)
    metric = _metric_of(search, metric)
    candidates = list(_candidates(results, name, metric))
    chosen = _best_of_each_rate(candidates)
    if not chosen:
        raise ValueError(
            f"No candidate with a number as {name} has a finite score. If fits or their scoring "
            "failed, set error_score='raise' in the search to see the error."
        )
    return Reading(
        np.array([one.rate for one in chosen], float),
        np.array([one.mean for one in chosen]),
        np.array([one.error for one in chosen]),
        [one.params for one in chosen],
        _score_name(search, metric),
        _left_out(name, candidates),
    )


def _best_of_each_rate(candidates: list[_Candidate]) -> list[_Candidate]:
    """The best candidate of each rate, among those to plot, in the order of increasing rates."""
    best: dict[float, _Candidate] = {}
    for one in candidates:
        if one.can_be_plotted and (one.rate not in best or one.mean > best[one.rate].mean):
            best[one.rate] = one
    return [best[rate] for rate in sorted(best)]


def _searched(results: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The values that the search tried, for each parameter."""
    return {
        key.removeprefix("param_"): np.ma.compressed(values)
        for key, values in results.items()
        if key.startswith("param_")
    }


def _rate_of(searched: dict[str, np.ndarray], name: str | None) -> str:
    """The name of the rate's parameter; ValueError unless exactly one was searched over numbers."""
    if name is None:
        rate_params = [one for one in searched if one.split("__")[-1] in RATE_NAMES]
    elif name in searched:
        rate_params = [name]
    else:
        raise ValueError(
            f"cv_results_ has no 'param_{name}': choose {_choices('param_name', searched)}."
        )
    found = [one for one in rate_params if any(map(_is_number, searched[one]))]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(
            f"{' and '.join(found)} were both searched: choose {_choices('param_name', found)}."
        )
    if rate_params:
        raise ValueError(
            f"The axis needs numbers, but {_tried_as(rate_params, searched)}. Search numbers, such "
            "as {'learning_rate': [0.001, 0.01, 0.1]}."
        )
    raise ValueError(
        "The search must have tried numbers for one of learning_rate and learning_rate_init; "
        f"otherwise set param_name to one of {sorted(searched)}."
    )


def _tried_as(names: list[str], searched: dict[str, np.ndarray]) -> str:
    """A phrase that lists the first few values of each parameter."""
    texts = []
    for name in names:
        values = list(dict.fromkeys(map(repr, searched[name])))
        texts.append(f"{name} was tried as {few_of(values)}")
    return " and ".join(texts)


def few_of(texts: Sequence[str]) -> str:
    """A list of the first few texts, as one text."""
    return f"{', '.join(texts[:N_LISTED])}{', ...' if len(texts) > N_LISTED else ''}"


def _metric_of(search: Any, metric: str | None) -> str:
    """The metric to read: ``metric`` if it is set, else the only one, else the one of ``refit``."""
    prefix = "mean_test_"
    names = [key.removeprefix(prefix) for key in search.cv_results_ if key.startswith(prefix)]
    if metric is None and len(names) == 1:
        return names[0]
    if metric is None and not isinstance(search.refit, str):
        raise ValueError(
            f"The search has several metrics, and refit={search.refit!r} names none of them: "
            f"choose {_choices('metric', names)}."
        )
    chosen = search.refit if metric is None else metric
    if chosen not in names:
        raise ValueError(
            f"cv_results_ has no 'mean_test_{chosen}': choose {_choices('metric', names)}."
        )
    return str(chosen)


def _choices(keyword: str, names: Iterable[str]) -> str:
    return " or ".join(f"{keyword}={name!r}" for name in names)


def _score_name(search: Any, metric: str) -> str:
    """The name of the score, as the user wrote it."""
    scoring = getattr(search, "scoring", None)
    return scoring if metric == "score" and isinstance(scoring, str) else metric


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _candidates(results: Mapping[str, Any], name: str, metric: str) -> Iterator[_Candidate]:
    """All candidates. Those that differ only in ``random_state`` are pooled into one."""
    split = re.compile(rf"split\d+_test_{re.escape(metric)}")
    scores = np.array([results[key] for key in results if split.fullmatch(key)]).T
    pooled_candidates: dict[Any, tuple[Any, dict[str, Any], list[np.ndarray]]] = {}
    rates = results[f"param_{name}"]
    for number, (rate, all_params) in enumerate(zip(rates, results["params"], strict=True)):
        params = {
            key: value
            for key, value in all_params.items()
            if key != name and key.split("__")[-1] != "random_state"
        }
        halving = results["iter"][number] if "iter" in results else None
        key = (
            float(rate) if _is_number(rate) else value_key(rate),
            halving,
            value_key(params),
        )
        pooled_candidates.setdefault(key, (rate, params, []))[2].append(scores[number])
    for rate, params, of_seeds in pooled_candidates.values():
        pooled = np.concatenate(of_seeds)
        with np.errstate(invalid="ignore"):  # infinite scores
            error = float(pooled.std() / np.sqrt(pooled.size))
        yield _Candidate(rate, float(pooled.mean()), error, params)


def _left_out(name: str, candidates: list[_Candidate]) -> str:
    """The message on the candidates that cannot be plotted, with the best if it is among them."""
    reasons = dict.fromkeys(
        _why_left_out(name, one) for one in candidates if not one.can_be_plotted
    )
    if not reasons:
        return ""
    best = max((one for one in candidates if np.isfinite(one.mean)), key=lambda one: one.mean)
    text = f"Left out of the display: {', '.join(reasons)}."
    if best.can_be_plotted:
        return text
    return f"{text} The best score of all, {best.mean:.4g}, is that of {_setting(name, best)}."


def _why_left_out(name: str, one: _Candidate) -> str:
    if one.rate is np.ma.masked:
        return _setting(name, one)
    reason = "no finite score" if _is_number(one.rate) else "not a number"
    return f"{_setting(name, one)} ({reason})"


def _setting(name: str, one: _Candidate) -> str:
    """The candidate's setting of the learning rate, as a phrase."""
    if one.rate is np.ma.masked:
        return f"candidates that do not set {name}"
    return f"{name}={one.rate:g}" if _is_number(one.rate) else f"{name}={one.rate!r}"
