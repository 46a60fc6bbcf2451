"""The range test: one step at each of many rising rates, and the loss on the way.

The rate recommended is the geometric mean of two customary readings, half-way down the valley and
a tenth of the rate with the lowest loss: it lost less than either, see docs/rate-study.md.

Source: Smith, WACV 2017 (arXiv 1506.01186), section 3.3.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from math import inf
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, check_scalar

from bpestimator.estimators import BackpropClassifier, settings_of
from bpestimator.lockstep import (
    Rows,
    check_is_network,
    checked_rows,
    fit_around,
    network_of,
)

# The share of the last losses in the smoothed one.
SMOOTHING = 0.9
# A smoothed loss this many times the lowest has diverged.
DIVERGED = 4.0
# So has, where 0 means nothing, one that rose this many times as far as it fell.
UNDONE = 2.0
# So many losses at the beginning tell how much batches differ.
FEW = 10
# The interval begins where this share of the whole fall has happened, and ends at this share of
# the rate with the lowest loss, where steps are about to be too large.
BEGUN, BEFORE_LOWEST = 0.1, 1 / 3


class RangeTest(NamedTuple):
    """What a range test found.

    rates, losses : ndarray of shape (steps,); the losses smoothed
    diverged_from : the rate where the loss exploded; None if it did not
    interval : the lowest and highest rate that are safe
    recommended : one in between
    """

    rates: np.ndarray
    losses: np.ndarray
    diverged_from: float | None
    interval: tuple[float, float]
    recommended: float


def rising_rates(low: float, high: float, n_steps: int) -> np.ndarray:
    """Rates evenly spaced on the logarithmic axis; ValueError for what makes no such axis."""
    for name, value, kind in (
        ("low", low, Real),
        ("high", high, Real),
        ("n_steps", n_steps, Integral),
    ):
        check_scalar(value, name, kind)
    if not 0 < low < high < inf:
        raise ValueError(
            f"Rates must rise from above 0, and end below infinity. Got low={low!r} and "
            f"high={high!r}."
        )
    if n_steps < 10:
        raise ValueError(f"n_steps must be at least 10 to show a curve. Got {n_steps!r}.")
    return np.geomspace(low, high, n_steps)


def range_test(
    estimator: Any, X: Any, y: Any, rates: np.ndarray, sample_weight: Any = None
) -> RangeTest:
    """Take a step of a clone at each of the rates, until the loss explodes."""
    net, X, y = _network_and_its_data(clone(estimator), X, y)
    rows = _that_count(checked_rows(net, X, y, sample_weight))
    losses, exploded = _take_steps(_ready_for_steps(net, rows.X.shape[0]), rows, rates)
    return _read(rates[: len(losses)], _smoothed(losses), exploded)


def _network_and_its_data(estimator: Any, X: Any, y: Any) -> tuple[Any, Any, Any]:
    """The network, and the data as what is around it, if anything, hands them on."""
    if isinstance(estimator, Pipeline) and type(estimator) is not Pipeline:
        # A subclass, which may do more in its fit; here its steps count as those of any.
        estimator = Pipeline(estimator.steps)
    check_is_network(estimator, "LearningRateDisplay.from_estimator")
    net = network_of(estimator)
    if net.solver == "lbfgs":
        raise ValueError("solver='lbfgs' has no learning rate to test. Choose another solver.")
    around = fit_around(estimator, X, y)
    return net, around.X, around.y


def _that_count(rows: Rows) -> Rows:
    """Without rows of weight 0, which teach nothing: a batch of them alone has no loss."""
    X, y, weight, classes = rows
    X = X.tocsr() if hasattr(X, "tocsr") else X
    counts = weight != 0
    if not counts.all():
        X, y, weight = X[counts], y[counts], weight[counts]
    return Rows(X, y, weight, classes)


def _ready_for_steps(net: Any, n_rows: int) -> Any:
    """The network with all set aside that has no place in a single step."""
    size = min(200 if net.batch_size == "auto" else net.batch_size, n_rows)
    net.set_params(batch_size=size, shuffle=False, early_stopping=False, verbose=False)
    if isinstance(net, BackpropClassifier):
        net.set_params(class_weight=None)  # the rows' weights have it
    return net.set_params(scoring=None, max_time=None)


def _take_steps(net: Any, rows: Rows, rates: np.ndarray) -> tuple[list[float], bool]:
    """The loss of the batch before each step, and whether it exploded in the end."""
    X, y, weight, classes = rows
    announced = {} if classes is None else {"classes": classes}
    has_zero = settings_of(net).loss_object.has_zero
    losses: list[float] = []
    batches = _batches(X.shape[0], net.batch_size, check_random_state(net.random_state))
    for rate, batch in zip(rates, batches, strict=False):
        net.set_params(learning_rate=float(rate))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it is meant to diverge
                net.partial_fit(X[batch], y[batch], weight[batch], **announced)
        except ValueError:  # no finite weights are left
            if not losses:
                raise
            return losses, True
        losses.append(net.loss_)
        if _has_exploded(losses, has_zero=has_zero):
            return losses, True
    return losses, False


def _batches(n_rows: int, size: int, rng: np.random.RandomState) -> Iterator[np.ndarray]:
    """Rows of one batch after another, without end, from one permutation after another."""
    order = np.empty(0, int)
    while True:
        if order.size < size:
            order = np.concatenate([order, rng.permutation(n_rows)])
        yield np.sort(order[:size])
        order = order[size:]


def _has_exploded(losses: list[float], *, has_zero: bool) -> bool:
    """Whether the latest loss, smoothed, is too far above the lowest.

    A loss that is 0 at best has a natural scale, its lowest value. One of the user's own may have
    any constant added to it: then the scale is how far it fell, or how far the first few losses,
    at rates too small to matter, lie apart.
    """
    smooth = _smoothed(losses)
    lowest = smooth.min()
    if has_zero:
        return not smooth[-1] <= DIVERGED * lowest
    scale = max(smooth[0] - lowest, np.ptp(losses[:FEW]))
    return not smooth[-1] <= lowest + UNDONE * scale


def _smoothed(losses: list[float]) -> np.ndarray:
    """m_k = s m_(k-1) + (1 - s) loss_k, over 1 - s^k."""
    mean, means = 0.0, []
    for k, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        means.append(mean / (1 - SMOOTHING**k))
    return np.array(means)


def _read(rates: np.ndarray, losses: np.ndarray, exploded: bool) -> RangeTest:
    """Find the valley, what is safe around it, and where it ends."""
    seen = np.where(np.isfinite(losses), losses, np.inf)
    lowest = int(seen.argmin())
    begun = seen[0] - BEGUN * (seen[0] - seen[lowest])
    above = np.flatnonzero(seen[: lowest + 1] > begun)  # the first losses may waver
    low = float(rates[min(above[-1] + 1, lowest) if above.size else 0])
    high = max(low, float(rates[lowest]) * BEFORE_LOWEST)
    middle = np.sqrt(_valley(rates, seen) * rates[lowest] / 10)
    recommended = float(np.clip(middle, low, high))
    return RangeTest(
        rates, losses, float(rates[-1]) if exploded else None, (low, high), recommended
    )


def _valley(rates: np.ndarray, losses: np.ndarray) -> float:
    """The rate half-way down the longest decreasing subsequence of the losses."""
    lengths = np.ones(losses.size, int)
    for k in range(1, losses.size):
        lengths[k] = 1 + max(lengths[:k][losses[:k] > losses[k]], default=0)
    end = int(lengths.argmax())
    start = end - int(lengths[end])
    third = (end - start) / 3
    return float(rates[max(0, start + int(third) + int(third / 2))])
