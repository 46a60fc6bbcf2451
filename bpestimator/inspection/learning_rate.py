"""LearningRateDisplay: plots the score or the loss of each learning rate, and recommends one."""

from __future__ import annotations

from typing import Any

import numpy as np

from bpestimator.estimators import warn
from bpestimator.inspection._matplotlib import check_keywords, matplotlib
from bpestimator.inspection._range_test import RangeTest, increasing_rates, range_test
from bpestimator.inspection._reading import Reading, few_of, read_search

# A score this many times as far below the best as all others would flatten them to a line.
FAR_BELOW = 10


class LearningRateDisplay:
    """The score or the loss of a network for each learning rate.

    :meth:`from_search` makes it from cross-validated scores, :meth:`from_estimator` from a range
    test. A range test takes a fraction of the time of one fit, and one step at each rate. A search
    is more reliable; a range test shows which rates to search.

    Parameters
    ----------
    rates : ndarray of shape (n_rates,)
        Increasing.
    values : ndarray of shape (n_rates,)
        Mean score, or smoothed loss.
    spread : ndarray of shape (n_rates,), default=None
        Standard error of each score.
    interval : tuple of float
        The lowest and the highest rate of the plateau, or of the safe rates.
    recommended : float
        The recommended rate, within the interval.
    diverged_from : float, default=None
        The rate at which the loss diverged.
    value_name : str, default="score"
        The label of ``values``.
    params : list of dict, default=None
        The other parameters of the candidate that each value belongs to.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Artist
        The values over the rates; NaN for scores far below the others, of rates that are too high.

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

    def __repr__(self) -> str:
        low, high = self.interval
        return (
            f"LearningRateDisplay(recommended={self.recommended:.3g}, "
            f"interval=({low:.3g}, {high:.3g}))"
        )

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
        error of the best. The standard error is s / sqrt(n), for the standard deviation s of the
        best rate's scores on n folds. The recommended rate is the middle of the plateau on the
        logarithmic axis, sqrt(low * high).

        If other parameters were searched too, each rate is represented by its best candidate, whose
        other parameters are in ``params``. The scores of candidates that differ only in
        ``random_state`` are pooled, so that no rate is chosen for its luckiest seed.

        Parameters
        ----------
        search : fitted search
            GridSearchCV, RandomizedSearchCV, a halving search, or a search of this package.
        param_name : str, default=None
            The searched parameter; None finds ``learning_rate`` or ``learning_rate_init``,
            in a Pipeline too.
        metric : str, default=None
            The metric to show, if there are several; None for the one that ``refit`` names.
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
        TypeError
            For a keyword that the line does not take.
        ValueError
            If the search tried no numbers as learning rates, if no fit has a score, or if several
            metrics were scored and neither ``metric`` nor ``refit`` names one.

        Warns
        -----
        UserWarning
            If the best rate is the lowest or the highest searched. If candidates are left out,
            because their rate is not a number, such as "auto" or "cosine", or they have no score.
        """
        check_keywords(kwargs, cls.from_search)
        found = read_search(search, param_name, metric)
        low, high = _plateau(found)
        for message in (found.left_out, _end_of_grid(found)):
            if message:
                warn([UserWarning(message)])
        display = cls(
            rates=found.rates,
            values=found.means,
            spread=found.errors,
            interval=(low, high),
            recommended=float(np.sqrt(low * high)),
            value_name=f"mean cross-validated {found.score_name}",
            params=found.params,
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
        """Run a range test: a step at each of many increasing rates, until the loss diverges.

        The losses are smoothed: m_k / (1 - 0.9^k), with m_k = 0.9 m_(k-1) + 0.1 loss_k. The safe
        interval begins at the rate by which the loss has fallen by a tenth of its whole fall. It
        ends at a third of the rate with the lowest loss. The recommended rate is the geometric mean
        of two rates: the one half-way down the longest decreasing subsequence of the losses, and a
        tenth of the one with the lowest loss.

        The loss has diverged when it is four times its lowest value. A ``CustomLoss`` may have any
        constant added to it, so it has diverged when it rose twice as far as it fell.

        Source: Smith, WACV 2017 (arXiv 1506.01186), section 3.3.

        Parameters
        ----------
        estimator : BackpropClassifier or BackpropRegressor
            Or a Pipeline that ends in one, or a TransformedTargetRegressor. It is not changed: a
            clone takes the steps.
        X, y, sample_weight : array-like
            As ``fit`` takes them. The test leaves out rows of weight 0.
        low, high : float, default=1e-6, 10
            The first rate and the last.
        n_steps : int, default=100
            The number of rates, at least 10.
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
            For an estimator without a network of this package, or a keyword that the line does not
            take.
        ValueError
            For a solver without a learning rate, for rates that do not rise from above 0, or for
            data that ``fit`` does not take.

        Warns
        -----
        UserWarning
            If the loss is lowest at the last rate: higher rates, not tested, may be safe, too.
        """
        check_keywords(kwargs, cls.from_estimator)
        rates = increasing_rates(low, high, n_steps)
        found = range_test(estimator, X, y, rates, sample_weight)
        if message := _end_of_test(found):
            warn([UserWarning(message)])
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
        """Draw the values, the interval and the recommended rate.

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
            If matplotlib is not installed.
        TypeError
            For a keyword that the line does not take.
        """
        check_keywords(kwargs, self.plot)
        if ax is None:
            _, ax = matplotlib().pyplot.subplots(figsize=(7, 4.2), layout="constrained")
        self._draw_values(ax, kwargs)
        self._draw_interval(ax)
        if self.spread is None:
            self._draw_divergence(ax)
        else:
            self._draw_far_below(ax)
        ax.set_xscale("log")
        ax.set_xlabel("learning rate")
        ax.set_ylabel(self.value_name)
        ax.grid(alpha=0.3)
        ax.legend(framealpha=1, fontsize="small")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_values(self, ax: Any, properties: dict[str, Any]) -> None:
        """Draw the line, with a band of its standard errors if it has any."""
        color, marker, values = "C0", "", self.values
        if self.spread is not None:
            marker = "o"
            values = np.where(_on_axis(values), values, np.nan)
            ax.fill_between(
                self.rates,
                values - self.spread,
                values + self.spread,
                alpha=0.2,
                linewidth=0,
                color=color,
                label="± 1 standard error",
            )
        style = {"color": color, "marker": marker, "label": self.value_name}
        style |= matplotlib().cbook.normalize_kwargs(properties, matplotlib().lines.Line2D)
        (self.line_,) = ax.plot(self.rates, values, **style)

    def _draw_interval(self, ax: Any) -> None:
        """Shade the interval, and mark the recommended rate."""
        low, high = self.interval
        of_what = "safe" if self.spread is None else "within 1 standard error of the best"
        style = {"alpha": 0.15, "color": "C2"}
        if low < high:
            label = f"{of_what}: {low:.2g} to {high:.2g}"
            ax.axvspan(low, high, linewidth=0, label=label, **style)
        else:  # a single rate: a strip of a fixed width on the screen
            style |= {"linewidth": 12, "solid_capstyle": "butt"}
            ax.axvline(low, label=f"{of_what}: only {low:.2g}", **style)
        ax.axvline(
            self.recommended,
            color="C3",
            linestyle="--",
            label=f"recommended: {self.recommended:.2g}",
        )

    def _draw_divergence(self, ax: Any) -> None:
        """Shade the rates that diverge, and limit the axis to the other losses."""
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

    def _draw_far_below(self, ax: Any) -> None:
        """Mark the rates whose score is too low for the axis."""
        rates = self.rates[~_on_axis(self.values)]
        if not rates.size:
            return
        ax.plot(
            rates,
            np.full(rates.size, 0.03),
            linestyle="",
            marker="v",
            color="C3",
            transform=ax.get_xaxis_transform(),
            label=f"far below: {few_of([f'{rate:.2g}' for rate in rates])}",
        )


def _on_axis(values: np.ndarray) -> np.ndarray:
    """A mask of the values to show on the axis; any other value would stretch it too far.

    All values up to the best rate are shown, since low rates do not diverge. Of the values at
    higher rates, those are shown that are at most ten times as far below the best as the values
    already shown, or at most ten times the best value below it.
    """
    best = int(values.argmax())
    below = values[best] - values
    largest_shown = max(abs(values[best]), below[: best + 1].max()) or np.median(below)
    shown = np.ones(values.size, bool)
    for place in best + 1 + np.argsort(below[best + 1 :]):
        shown[place] = below[place] <= FAR_BELOW * largest_shown
        largest_shown = max(largest_shown, below[place]) if shown[place] else largest_shown
    return shown


def _plateau(found: Reading) -> tuple[float, float]:
    """The ends of the range of rates around the best whose scores are within its standard error."""
    best = int(found.means.argmax())
    good = found.means >= found.means[best] - found.errors[best]
    low = high = best
    while low > 0 and good[low - 1]:
        low -= 1
    while high < len(good) - 1 and good[high + 1]:
        high += 1
    return float(found.rates[low]), float(found.rates[high])


def _end_of_grid(found: Reading) -> str:
    """The warning that no rate beyond the best was searched; empty if one was."""
    best, last = int(found.means.argmax()), len(found.rates) - 1
    if last == 0 or best not in (0, last):
        return ""
    side, further = ("lowest", "lower") if best == 0 else ("highest", "higher")
    return (
        f"The best learning rate, {found.rates[best]:g}, is the {side} that was searched: a "
        f"{further} one may be better. Widen the grid."
    )


def _end_of_test(found: RangeTest) -> str:
    """The warning that the test ended before the loss rose; empty if the loss rose."""
    if found.diverged_from is not None or found.losses.argmin() < len(found.losses) - 1:
        return ""
    last = found.rates[-1]
    return (
        f"The loss was still falling at the last rate of the test, high={last:g}: higher ones may "
        "be safe, too. Raise high."
    )
