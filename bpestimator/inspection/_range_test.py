"""The range test: take one step at each of many increasing rates, and record the losses.

The recommended rate is the geometric mean of two customary choices: the rate half-way down the
longest decrease of the loss, and a tenth of the rate with the lowest loss. In docs/rate-study.md
(rows "between"), it loses less than either in fits of 60 epochs over the default range of rates.

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

from bpestimator.estimators import BackpropClassifier, batch_size_of, settings_of
from bpestimator.lockstep import (
    Rows,
    check_is_network,
    checked_rows,
    fit_around,
    network_of,
)

# The weight of the earlier losses in the smoothed loss, as is customary.
SMOOTHING = 0.9
# A loss with the lower bound 0 has diverged at this many times its lowest value, as is customary.
DIVERGED = 4.0
# Any other loss has diverged if it rose this many times as far as it fell.
RISE_OVER_FALL = 2.0
# The rates of this many first steps are too low to change the loss. So the range of these losses
# shows how much the batches differ.
N_FIRST = 10
# The safe interval begins at the rate by which the loss has fallen by this share of its whole fall.
# It ends at this share of the rate with the lowest loss, beyond which the loss soon diverges.
SHARE_OF_FALL, SHARE_OF_LOWEST = 0.1, 1 / 3


class RangeTest(NamedTuple):
    """The result of a range test.

    rates, losses : ndarray of shape (n_steps,); the losses are smoothed
    diverged_from : the rate at which the loss diverged; None if it did not
    interval : the lowest and the highest safe rate
    recommended : the recommended rate, within the interval
    """

    rates: np.ndarray
    losses: np.ndarray
    diverged_from: float | None
    interval: tuple[float, float]
    recommended: float


def increasing_rates(low: float, high: float, n_steps: int) -> np.ndarray:
    """Increasing rates, evenly spaced on a logarithmic axis.

    Parameters
    ----------
    low, high : float
        The first rate and the last, with 0 < low < high.
    n_steps : int
        The number of rates, at least 10.

    Raises
    ------
    TypeError, ValueError
        For other values.
    """
    for name, value, kind in (
        ("low", low, Real),
        ("high", high, Real),
        ("n_steps", n_steps, Integral),
    ):
        check_scalar(value, name, kind)
    if not 0 < low < high < inf:
        raise ValueError(
            f"Rates must rise from above 0 to a finite value. Got low={low!r} and high={high!r}. "
            "Set 0 < low < high, such as low=1e-6 and high=10."
        )
    if n_steps < 10:
        raise ValueError(f"n_steps must be at least 10. Got {n_steps!r}: increase it.")
    return np.geomspace(low, high, n_steps)


def range_test(
    estimator: Any, X: Any, y: Any, rates: np.ndarray, sample_weight: Any = None
) -> RangeTest:
    """Take one step at each rate, until the loss diverges.

    Parameters
    ----------
    estimator : estimator
        Not changed: a clone takes the steps.
    X, y, sample_weight : array-like
        As ``fit`` takes them.
    rates : ndarray of shape (n_steps,)
        Increasing.
    """
    net, X, y = _network_and_its_data(clone(estimator), X, y)
    rows = _without_zero_weights(checked_rows(net, X, y, sample_weight))
    losses, diverged = _take_steps(_ready_for_steps(net, rows.X.shape[0]), rows, rates)
    return _result(rates[: len(losses)], _smoothed(losses), diverged)


def _network_and_its_data(estimator: Any, X: Any, y: Any) -> tuple[Any, Any, Any]:
    """The network, and the data after the steps around it."""
    if isinstance(estimator, Pipeline) and type(estimator) is not Pipeline:
        # A subclass may do more in its ``fit``; the range test only uses its steps.
        estimator = Pipeline(estimator.steps)
    check_is_network(estimator, "LearningRateDisplay.from_estimator")
    net = network_of(estimator)
    if net.solver == "lbfgs":
        raise ValueError("solver='lbfgs' has no learning rate to test. Choose another solver.")
    around = fit_around(estimator, X, y)
    return net, around.X, around.y


def _without_zero_weights(rows: Rows) -> Rows:
    """The rows without those of weight 0: a batch of such rows has no loss."""
    X, y, weight, classes = rows
    X = X.tocsr() if hasattr(X, "tocsr") else X
    is_nonzero = weight != 0
    if not is_nonzero.all():
        X, y, weight = X[is_nonzero], y[is_nonzero], weight[is_nonzero]
    return Rows(X, y, weight, classes)


def _ready_for_steps(net: Any, n_rows: int) -> Any:
    """Set the network up to take single steps, without validation and the like."""
    size = batch_size_of(net.batch_size, n_rows)
    net.set_params(batch_size=size, shuffle=False, early_stopping=False, verbose=False)
    if isinstance(net, BackpropClassifier):
        net.set_params(class_weight=None)  # the weights of the rows include it
    return net.set_params(scoring=None, max_time=None)


def _take_steps(net: Any, rows: Rows, rates: np.ndarray) -> tuple[list[float], bool]:
    """The loss of the batch before each step, and whether the loss diverged at the last rate."""
    X, y, weight, classes = rows
    classes_argument = {} if classes is None else {"classes": classes}
    has_zero = settings_of(net).loss_object.has_zero
    losses: list[float] = []
    batches = _batches(X.shape[0], net.batch_size, check_random_state(net.random_state))
    for rate, batch in zip(rates, batches, strict=False):
        net.set_params(learning_rate=float(rate))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the test continues until it diverges
                net.partial_fit(X[batch], y[batch], weight[batch], **classes_argument)
        except ValueError:  # no finite weights are left
            if not losses:
                raise
            return losses, True
        losses.append(net.loss_)
        if _has_diverged(losses, has_zero=has_zero):
            return losses, True
    return losses, False


def _batches(n_rows: int, size: int, rng: np.random.RandomState) -> Iterator[np.ndarray]:
    """The rows of each batch, without end. Each epoch has a new permutation of all rows."""
    order = np.empty(0, int)
    while True:
        if order.size < size:
            order = np.concatenate([order, rng.permutation(n_rows)])
        yield np.sort(order[:size])
        order = order[size:]


def _has_diverged(losses: list[float], *, has_zero: bool) -> bool:
    """Whether the latest smoothed loss is too far above the lowest.

    For a loss with the lower bound 0, the lowest value is the scale. A custom loss may have any
    constant added to it, so its scale is how far it fell, or the range of its first values if that
    is larger.
    """
    smooth = _smoothed(losses)
    lowest = smooth.min()
    if has_zero:
        return not smooth[-1] <= DIVERGED * lowest
    scale = max(smooth[0] - lowest, np.ptp(losses[:N_FIRST]))
    rounding = 100 * np.finfo(float).eps * abs(lowest)  # all that the first values may differ by
    return not smooth[-1] <= lowest + max(RISE_OVER_FALL * scale, rounding)


def _smoothed(losses: list[float]) -> np.ndarray:
    """The smoothed losses, m_k / (1 - s^k) with m_k = s m_(k-1) + (1 - s) loss_k."""
    mean, means = 0.0, []
    for k, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        means.append(mean / (1 - SMOOTHING**k))
    return np.array(means)


def _result(rates: np.ndarray, losses: np.ndarray, diverged: bool) -> RangeTest:
    """Find the safe interval, the recommended rate, and the rate at which the loss diverged."""
    finite_losses = np.where(np.isfinite(losses), losses, np.inf)
    lowest = int(finite_losses.argmin())
    threshold = finite_losses[0] - SHARE_OF_FALL * (finite_losses[0] - finite_losses[lowest])
    above = np.flatnonzero(
        finite_losses[: lowest + 1] > threshold
    )  # the first losses may fluctuate
    low = float(rates[min(above[-1] + 1, lowest) if above.size else 0])
    high = max(low, float(rates[lowest]) * SHARE_OF_LOWEST)
    mean_rate = np.sqrt(_middle_of_decrease(rates, finite_losses) * rates[lowest] / 10)
    recommended = float(np.clip(mean_rate, low, high))
    return RangeTest(
        rates, losses, float(rates[-1]) if diverged else None, (low, high), recommended
    )


def _middle_of_decrease(rates: np.ndarray, losses: np.ndarray) -> float:
    """The rate half-way down the longest decreasing subsequence of the losses."""
    lengths = np.ones(losses.size, int)
    for k in range(1, losses.size):
        lengths[k] = 1 + max(lengths[:k][losses[:k] > losses[k]], default=0)
    end = int(lengths.argmax())
    start = end - int(lengths[end])
    third = (end - start) / 3
    return float(rates[max(0, start + int(third) + int(third / 2))])
