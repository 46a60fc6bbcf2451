"""LearningRateDisplay: which learning rates work, as a picture and a number."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import NotFittedError

from bpestimator.inspection._range_test import range_test, rising_rates


class LearningRateDisplay:
    """What a network makes of each learning rate.

    Made by :meth:`from_search`, from cross-validated scores, or by :meth:`from_estimator`, from a
    range test, which takes a fraction of one fit and no more than one look at each rate. A search
    is the better judge; a range test tells where to search.

    Parameters
    ----------
    rates : ndarray of shape (n_rates,)
        Rising.
    values : ndarray of shape (n_rates,)
        Mean score, or smoothed loss.
    spread : ndarray of shape (n_rates,), default=None
        Standard error of each score.
    interval : tuple of float
        The lowest and the highest rate of the plateau, or of what is safe.
    recommended : float
        One rate.
    diverged_from : float, default=None
        Where the loss exploded.
    value_name : str, default="score"
        What ``values`` are called.
    params : list of dict, default=None
        What else was searched: the parameters of the candidate behind each value.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Artist
        The values over the rates.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from bpestimator import BackpropClassifier, LearningRateDisplay, LockstepGridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BackpropClassifier(tol=0.01, random_state=0)
    >>> rates = [1e-4, 1e-3, 1e-2, 1e-1, 1]
    >>> search = LockstepGridSearchCV(clf, {"learning_rate": rates}).fit(X, y)
    >>> display = LearningRateDisplay.from_search(search, plot=False)
    >>> 1e-3 < display.recommended < 1
    True
    """

    def __init__(
        self,
        *,
        rates: np.ndarray,
        values: np.ndarray,
        spread: np.ndarray | None = None,
        interval: tuple[float, float],
        recommended: float,
        diverged_from: float | None = None,
        value_name: str = "score",
        params: list[dict[str, Any]] | None = None,
    ) -> None:
        self.rates = rates
        self.values = values
        self.spread = spread
        self.interval = interval
        self.recommended = recommended
        self.diverged_from = diverged_from
        self.value_name = value_name
        self.params = params

    @classmethod
    def from_search(
        cls,
        search: Any,
        *,
        param_name: str | None = None,
        metric: str | None = None,
        plot: bool = True,
        ax: Any = None,
        **kwargs: Any,
    ) -> LearningRateDisplay:
        """Read a fitted search over the learning rate.

        The plateau is the best rate and its neighbours whose mean score is within one standard
        error of the best, s / sqrt(n), for the standard deviation s of the best rate's scores on
        n folds. Recommended is its middle on the logarithmic axis, sqrt(low * high). Where other
        parameters were searched too, each rate is represented by its best candidate, which
        ``params`` names. Candidates that differ in ``random_state`` alone count as one, with the
        scores of all its seeds: the luckiest seed says little of a rate.

        Parameters
        ----------
        search : fitted GridSearchCV, RandomizedSearchCV, halving search or ours
        param_name : str, default=None
            The searched parameter; None finds ``learning_rate`` or ``learning_rate_init``,
            in a Pipeline too.
        metric : str, default=None
            Of several metrics; None for the one that ``refit`` names.
        plot : bool, default=True
            Whether to draw at once.
        ax : matplotlib Axes, default=None
        **kwargs : dict
            For the line, as ``Axes.plot`` takes them.

        Returns
        -------
        LearningRateDisplay

        Raises
        ------
        NotFittedError
            If the search has not been fitted.
        ValueError
            If the search was not over numbers as learning rates, or no fit has a score.

        Warns
        -----
        UserWarning
            If the best rate is at an end of those searched.
        """
        if not hasattr(search, "cv_results_"):
            raise NotFittedError(
                "LearningRateDisplay.from_search takes a search, such as LockstepGridSearchCV, "
                f"that has been fitted. Got {search!r}. Call its fit first; for an estimator, use "
                "LearningRateDisplay.from_estimator."
            )
        results = search.cv_results_
        name = _rate_of(results) if param_name is None else f"param_{param_name}"
        metric = metric or (search.refit if isinstance(search.refit, str) else "score")
        for column in (name, f"mean_test_{metric}"):
            if column not in results:
                raise ValueError(f"cv_results_ has no {column!r}, only {sorted(results)}.")
        rates, means, errors, params = _best_of_each_rate(results, name, metric)
        best = int(means.argmax())
        if len(rates) > 1 and best in (0, len(rates) - 1):
            side, further = ("lowest", "lower") if best == 0 else ("highest", "higher")
            warnings.warn(
                f"The best learning rate, {rates[best]:g}, is the {side} that was searched: a "
                f"{further} one may be better still. Widen the grid.",
                stacklevel=2,
            )
        good = means >= means[best] - errors[best]
        low = high = best
        while low > 0 and good[low - 1]:
            low -= 1
        while high < len(rates) - 1 and good[high + 1]:
            high += 1
        display = cls(
            rates=rates,
            values=means,
            spread=errors,
            interval=(float(rates[low]), float(rates[high])),
            recommended=float(np.sqrt(rates[low] * rates[high])),
            value_name="mean cross-validated score",
            params=params,
        )
        return display.plot(ax, **kwargs) if plot else display

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        low: float = 1e-6,
        high: float = 10.0,
        n_steps: int = 100,
        plot: bool = True,
        ax: Any = None,
        **kwargs: Any,
    ) -> LearningRateDisplay:
        """Run a range test: a step at each of many rising rates, until the loss explodes.

        The loss is smoothed, m_k = 0.9 m_(k-1) + 0.1 loss_k over 1 - 0.9^k. Safe is from where
        a tenth of its whole fall has happened to a third of the rate where it is lowest. It has
        exploded at four times its lowest value; a ``CustomLoss``, which may have any constant
        added to it, where it rose by twice as much as it fell.
        Recommended is the geometric mean of the valley, half-way down the longest decreasing
        subsequence, and of a tenth of the rate where the loss is lowest.

        Source: Smith, WACV 2017 (arXiv 1506.01186), section 3.3.

        Parameters
        ----------
        estimator : BackpropClassifier, BackpropRegressor, or a Pipeline that ends in one
            Left as it is: a clone takes the steps.
        X, y, sample_weight : array-like
            As ``fit`` takes them. Rows of weight 0 have no part in the test.
        low, high : float, default=1e-6, 10
            The first rate and the last.
        n_steps : int, default=100
        plot : bool, default=True
            Whether to draw at once.
        ax : matplotlib Axes, default=None
        **kwargs : dict
            For the line, as ``Axes.plot`` takes them.

        Returns
        -------
        LearningRateDisplay

        Raises
        ------
        TypeError
            For an estimator that is not ours, or a keyword that nobody takes.
        ValueError
            For a solver without a learning rate, rates that do not rise from above 0, or what
            ``fit`` would refuse.
        """
        rates = rising_rates(low, high, n_steps)
        found = range_test(estimator, X, y, rates, sample_weight)
        display = cls(
            rates=found.rates,
            values=found.losses,
            interval=found.interval,
            recommended=found.recommended,
            diverged_from=found.diverged_from,
            value_name="smoothed loss",
        )
        return display.plot(ax, **kwargs) if plot else display

    def plot(self, ax: Any = None, **kwargs: Any) -> LearningRateDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        **kwargs : dict
            For the line, as ``Axes.plot`` takes them.

        Returns
        -------
        self : LearningRateDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        """
        try:
            from matplotlib import pyplot as plt
        except ImportError as error:
            raise ImportError(
                'LearningRateDisplay draws with matplotlib: pip install "bpestimator[plot]"'
            ) from error
        if ax is None:
            _, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
        is_search = self.spread is not None
        of_values = "C0"
        if self.spread is not None:
            ax.fill_between(
                self.rates,
                self.values - self.spread,
                self.values + self.spread,
                alpha=0.2,
                linewidth=0,
                color=of_values,
                label="± 1 standard error",
            )
        style = {"color": of_values, "marker": "o" if is_search else "", "label": self.value_name}
        (self.line_,) = ax.plot(self.rates, self.values, **{**style, **kwargs})
        low, high = self.interval
        label = "within 1 standard error of the best" if is_search else "safe"
        ax.axvspan(
            low,
            high,
            alpha=0.15,
            color="C2",
            linewidth=4,  # to be seen where the interval is but one rate
            label=f"{label}: {low:.2g} to {high:.2g}",
        )
        ax.axvline(
            self.recommended,
            color="C3",
            linestyle="--",
            label=f"recommended: {self.recommended:.2g}",
        )
        if not is_search:
            self._draw_divergence(ax)
        ax.set_xscale("log")
        ax.set_xlabel("learning rate")
        ax.set_ylabel(self.value_name)
        ax.grid(alpha=0.3)
        ax.legend(framealpha=1)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_divergence(self, ax: Any) -> None:
        """Shade where the loss explodes, and keep it from dwarfing the rest."""
        finite = self.values[np.isfinite(self.values)]
        start, lowest = finite[0], finite.min()
        margin = 0.15 * (start - lowest) or 0.1 * abs(start) or 1.0
        ax.set_ylim(lowest - margin, max(start, np.median(finite)) + 2 * margin)
        if self.diverged_from is not None:
            ax.axvspan(
                self.diverged_from,
                3 * self.diverged_from,
                alpha=0.2,
                color="C3",
                linewidth=0,
                label=f"diverges from {self.diverged_from:.2g}",
            )


def _is_split(key: str, metric: str) -> bool:
    return key.startswith("split") and key.endswith(f"_test_{metric}")


def _rate_of(results: dict[str, Any]) -> str:
    """The column of the learning rate; ValueError unless there is exactly one."""
    names = ("learning_rate", "learning_rate_init")
    found = [
        key
        for key in results
        if key.startswith("param_")
        and key.removeprefix("param_").split("__")[-1] in names
        and any(_is_number(value) for value in np.ma.compressed(results[key]))
    ]
    if len(found) != 1:
        searched = sorted(key.removeprefix("param_") for key in results if key.startswith("param_"))
        raise ValueError(
            "The search must have tried numbers for one of learning_rate and learning_rate_init; "
            f"else say param_name=... Searched were {searched}."
        )
    return found[0]


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


class _Candidate(NamedTuple):
    """Mean score and its standard error, over all folds and seeds, and the other parameters."""

    mean: float
    error: float
    params: dict[str, Any]


def _best_of_each_rate(
    results: dict[str, Any], name: str, metric: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
    """Each rate, with mean, standard error and other parameters of its best candidate."""
    best: dict[float, _Candidate] = {}
    for rate, candidate in _candidates(results, name, metric):
        if np.isfinite(candidate.mean) and (rate not in best or candidate.mean > best[rate].mean):
            best[rate] = candidate
    if not best:
        raise ValueError(
            f"No candidate with a number as {name.removeprefix('param_')} has a score."
        )
    rates = sorted(best)
    means, errors, params = zip(*(best[rate] for rate in rates), strict=True)
    return np.array(rates), np.array(means), np.array(errors), list(params)


def _candidates(
    results: dict[str, Any], name: str, metric: str
) -> Iterator[tuple[float, _Candidate]]:
    """Each candidate with its rate, where that is a number; seeds count as one."""
    scores = np.array([results[key] for key in results if _is_split(key, metric)]).T
    alike: dict[Any, tuple[dict[str, Any], list[np.ndarray]]] = {}
    for number, (rate, all_params) in enumerate(zip(results[name], results["params"], strict=True)):
        if not _is_number(rate):
            continue
        params = {
            key: value
            for key, value in all_params.items()
            if f"param_{key}" != name and key.split("__")[-1] != "random_state"
        }
        halving = results["iter"][number] if "iter" in results else None
        key = (float(rate), halving, repr(sorted(params.items())))
        alike.setdefault(key, (params, []))[1].append(scores[number])
    for (rate, *_), (params, of_seeds) in alike.items():
        pooled = np.concatenate(of_seeds)
        error = float(pooled.std() / np.sqrt(pooled.size))
        yield rate, _Candidate(float(pooled.mean()), error, params)
