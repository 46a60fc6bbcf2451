"""The range test: one step at each of many rising rates, and the loss on the way.

The rate recommended is the geometric mean of two customary readings, half-way down the valley and
a tenth of the rate with the lowest loss: it lost less than either, see docs/learning-rate.md.

Source: Smith, WACV 2017 (arXiv 1506.01186), section 3.3.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight

from bpestimator.estimators import BackpropClassifier, BackpropRegressor

# The share of the last losses in the smoothed one.
SMOOTHING = 0.9
# A smoothed loss this many times the lowest has diverged.
DIVERGED = 4.0
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


def range_test(
    estimator: Any, X: Any, y: Any, rates: np.ndarray, sample_weight: Any = None
) -> RangeTest:
    """Take a step of a clone at each of the rates, until the loss explodes."""
    net, X = _prepared(estimator, X, y)
    is_classifier = isinstance(net, BackpropClassifier)
    n_rows = X.shape[0]
    y = y.iloc[:] if hasattr(y, "iloc") else np.asarray(y)
    y = y.to_numpy() if hasattr(y, "to_numpy") else y
    weight = np.ones(n_rows) if sample_weight is None else np.asarray(sample_weight, float)
    if is_classifier and net.class_weight is not None:
        weight = weight * compute_sample_weight(net.class_weight, y)
        net.set_params(class_weight=None)
    known = {}
    if is_classifier:
        known["classes"] = np.arange(y.shape[1]) if y.ndim == 2 else np.unique(y)
    size = min(200, n_rows) if net.batch_size == "auto" else min(net.batch_size, n_rows)
    rng = check_random_state(net.random_state)
    order = np.empty(0, int)
    losses: list[float] = []
    for rate in rates:
        if order.size < size:
            order = np.concatenate([order, rng.permutation(n_rows)])
        rows, order = np.sort(order[:size]), order[size:]
        net.set_params(learning_rate=float(rate))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it is meant to diverge
                net.partial_fit(X[rows], y[rows], weight[rows], **known)
        except ValueError:
            if not losses:
                raise
            break
        losses.append(net.loss_)
        smooth = _smoothed(losses)
        if not smooth[-1] < DIVERGED * smooth.min():
            break
    return _read(rates, _smoothed(losses))


def _prepared(estimator: Any, X: Any, y: Any) -> tuple[Any, Any]:
    """The network, unfitted and fit for single steps, and its X."""
    estimator = clone(estimator)
    net = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    if not isinstance(net, (BackpropClassifier, BackpropRegressor)):
        raise TypeError(
            "LearningRateDisplay.from_estimator takes a BackpropClassifier, a BackpropRegressor, "
            f"or a Pipeline that ends in one. Got {estimator!r}."
        )
    if net.solver == "lbfgs":
        raise ValueError("solver='lbfgs' has no learning rate to test. Choose another solver.")
    if isinstance(estimator, Pipeline) and len(estimator.steps) > 1:
        X = estimator[:-1].fit_transform(X, y)
    X = X.tocsr() if hasattr(X, "tocsr") else np.asarray(X)
    size = "auto" if net.batch_size == "auto" else min(net.batch_size, X.shape[0])
    net.set_params(early_stopping=False, shuffle=False, verbose=False, batch_size=size)
    return net.set_params(scoring=None, max_time=None), X


def _smoothed(losses: list[float]) -> np.ndarray:
    """m_k = s m_(k-1) + (1 - s) loss_k, over 1 - s^k."""
    mean, means = 0.0, []
    for k, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        means.append(mean / (1 - SMOOTHING**k))
    return np.array(means)


def _read(all_rates: np.ndarray, losses: np.ndarray) -> RangeTest:
    """Find the valley, what is safe around it, and where it ends."""
    rates = all_rates[: losses.size]
    exploded = rates.size < all_rates.size or not losses[-1] < DIVERGED * losses.min()
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
