"""Regression losses: functions of predicted numbers, each with its derivative beside it.

Below, r = prediction - y.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
from scipy.special import xlogy

from bpestimator.nn.activations import Activation, Identity
from bpestimator.nn.arrays import Array
from bpestimator.nn.checks import check_functions, check_range
from bpestimator.nn.kernels.workspace import Workspace
from bpestimator.nn.losses import Loss, MatchingLoss, mean_over_rows, squared_errors
from bpestimator.nn.output_activations import Exp, Increasing
from bpestimator.nn.recording import (
    call,
    constant,
    divide,
    greater,
    maximum,
    minimum,
    multiply,
    sign,
    subtract,
    tanh,
)


@dataclass(frozen=True)
class SquaredError(MatchingLoss):
    """r^2 / 2, half the squared error: predicts the mean. Suits the identity output activation.

    Training follows the gradient of sum_j r_j^2 / 2 for each row, but the value reported is the
    *mean* over the k outputs, so delta is k times the derivative of :meth:`value`. That is
    scikit-learn's convention (its issue #8349), kept so that curves and weights agree with it.
    """

    name = "squared_error"
    output_activation = Identity()

    def gradient_scale(self, outputs: int) -> float:
        return float(outputs)

    def pointwise(self, prediction: Array, y: Array) -> Any:
        return 0.5 * (prediction - y) ** 2

    def pointwise_derivative(self, prediction: Array, y: Array, out: Array, ws: Workspace) -> None:
        subtract(prediction, y, out)

    def write_terms(self, prediction: Array, y: Array, terms: Array, ws: Workspace) -> None:
        squared_errors(prediction, y, terms)

    def backward(
        self, raw: Array, y: Array, terms: Array, output_activation: Activation, ws: Workspace
    ) -> None:
        if output_activation != self.output_activation:
            super().backward(raw, y, terms, output_activation, ws)
            return
        subtract(raw, y, raw)
        multiply(raw, raw, terms)

    def value(self, terms: Array, y: Array, weight: Array | None, outputs: int) -> Any:
        return 0.5 * (np.add.reduce(mean_over_rows(terms, weight), -1) / outputs)


@dataclass(frozen=True)
class AbsoluteError(Loss):
    """|r|: predicts the median, which outliers hardly move.

    The derivative is the sign of r, 0 at 0. Summed over outputs.

    Examples
    --------
    >>> import numpy as np
    >>> from bpestimator import BackpropRegressor
    >>> y = np.array([1.0] * 9 + [1000.0])
    >>> reg = BackpropRegressor("absolute_error", (), learning_rate=0.1, random_state=0)
    >>> bool(abs(reg.fit(np.zeros((10, 1)), y).predict([[0]]) - 1) < 0.1)
    True
    """

    name = "absolute_error"
    output_activation = Identity()

    def pointwise(self, prediction: Array, y: Array) -> Any:
        return np.abs(prediction - y)

    def pointwise_derivative(self, prediction: Array, y: Array, out: Array, ws: Workspace) -> None:
        subtract(prediction, y, out)
        sign(out, out)


@dataclass(frozen=True)
class Huber(Loss):
    """r^2 / 2 where |r| <= delta, else delta (|r| - delta / 2): squared near 0, absolute beyond.

    The derivative is r, clipped to [-delta, delta]. Summed over outputs.

    Source: Huber, "Robust estimation of a location parameter", Annals of Mathematical
    Statistics 35 (1964).

    Parameters
    ----------
    delta : float, default=1.0
        The largest |r| that is squared, in units of y; above 0.

    Examples
    --------
    >>> from bpestimator import BackpropRegressor, Huber
    >>> BackpropRegressor(loss=Huber(delta=1.5)).loss
    Huber(delta=1.5)
    """

    delta: float = 1.0

    name = "huber"
    output_activation = Identity()

    def __post_init__(self) -> None:
        check_range(self, "delta", 0, inf, "()")

    def pointwise(self, prediction: Array, y: Array) -> Any:
        size = np.abs(prediction - y)
        near = np.minimum(size, self.delta)
        return near * (size - 0.5 * near)

    def pointwise_derivative(self, prediction: Array, y: Array, out: Array, ws: Workspace) -> None:
        subtract(prediction, y, out)
        minimum(out, constant(self.delta, out.dtype), out=out)
        maximum(out, constant(-self.delta, out.dtype), out=out)


@dataclass(frozen=True)
class LogCosh(Loss):
    """log cosh r: r^2 / 2 near 0 and |r| - log 2 far away, and smooth in between.

    The derivative is tanh r. Summed over outputs. Computed as |r| + log(1 + exp(-2 |r|)) - log 2,
    which does not overflow.
    """

    name = "log_cosh"
    output_activation = Identity()

    def pointwise(self, prediction: Array, y: Array) -> Any:
        size = np.abs(prediction - y)
        return np.logaddexp(0, -2 * size) + size - math.log(2)

    def pointwise_derivative(self, prediction: Array, y: Array, out: Array, ws: Workspace) -> None:
        subtract(prediction, y, out)
        tanh(out, out)


@dataclass(frozen=True)
class Quantile(Loss):
    """The pinball loss, level (y - p) where y > p, else (1 - level) (p - y): predicts quantiles.

    The derivative by p is -level where p <= y, else 1 - level; there is none at p = y, where -level
    is a choice. With several levels the network has an output for each, their losses are summed,
    and ``predict`` returns an array of shape (n, levels). The quantiles never cross: each is the
    one before plus a softplus (see :class:`bpestimator.nn.output_activations.Increasing`).

    Source: Koenker and Bassett, "Regression quantiles", Econometrica 46 (1978).

    Parameters
    ----------
    level : float or list of float, default=0.5
        Share of the targets that should lie below the prediction, in (0, 1); several in
        ascending order, for a y of one column.

    Examples
    --------
    >>> import numpy as np
    >>> from bpestimator import BackpropRegressor, Quantile
    >>> X = np.zeros((200, 1))
    >>> y = np.linspace(0, 1, 200)
    >>> reg = BackpropRegressor(Quantile([0.1, 0.5, 0.9]), (), learning_rate=0.05, random_state=0)
    >>> reg.fit(X, y).predict(X[:1]).round(1)
    array([[0.1, 0.5, 0.9]])
    """

    level: float | Sequence[float] = 0.5

    name = "quantile"

    def __post_init__(self) -> None:
        check_range(self, "level", 0, 1, "()")
        if not self.levels or any(low >= high for low, high in pairwise(self.levels)):
            raise ValueError(
                "The level of Quantile must be one number, or several in ascending order. "
                f"Got {self.level!r}."
            )
        if np.ndim(self.level):
            object.__setattr__(self, "level", self.levels)  # a list would have no hash

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels as a tuple, even of a single one."""
        return tuple(np.ravel(self.level).tolist())

    @property
    def output_activation(self) -> Activation:  # type: ignore[override]
        return Identity() if len(self.levels) == 1 else Increasing()

    def output_activation_with(self, chosen: Activation) -> Activation:
        return chosen if len(self.levels) == 1 else Increasing(chosen)

    def outputs_of(self, columns: int) -> int:
        if columns > 1 < len(self.levels):
            raise ValueError(
                f"{self!r} predicts several quantiles of one target, but y has {columns} columns: "
                "fit one regressor per column, or choose one level."
            )
        return max(columns, len(self.levels))

    def pointwise(self, prediction: Array, y: Array) -> Any:
        left = y - prediction
        levels = np.asarray(self.levels, prediction.dtype)
        return np.maximum(levels * left, (levels - 1) * left)

    def pointwise_derivative(self, prediction: Array, y: Array, out: Array, ws: Workspace) -> None:
        above = ws.like(prediction, bool)
        greater(prediction, y, above)
        subtract(above, constant(self.levels, out.dtype), out)


@dataclass(frozen=True)
class Poisson(MatchingLoss):
    """y log(y / p) - y + p, half the Poisson deviance, for counts; y >= 0. Suits exp outputs.

    The derivative by p is 1 - y / p. Summed over outputs.
    """

    name = "poisson"
    output_activation = Exp()
    domain = (0.0, inf)
    rule = "of at least 0"
    predictions = (0.0, inf)

    def pointwise(self, prediction: Array, y: Array) -> Any:
        return xlogy(y, y / prediction) - y + prediction

    def pointwise_derivative(self, prediction: Array, y: Array, out: Array, ws: Workspace) -> None:
        divide(y, prediction, out)
        subtract(constant(1, out.dtype), out, out)


@dataclass(frozen=True)
class Gamma(Loss):
    """y / p - 1 - log(y / p), half the gamma deviance, for positive y that spread as they grow.

    The derivative by p is (p - y) / p^2; by the raw output, with exp outputs, 1 - y / p. Summed
    over outputs.
    """

    name = "gamma"
    output_activation = Exp()
    domain = (float(np.nextafter(0, 1)), inf)
    rule = "above 0"
    predictions = (0.0, inf)

    def pointwise(self, prediction: Array, y: Array) -> Any:
        ratio = y / prediction
        return ratio - 1 - np.log(ratio)

    def pointwise_derivative(self, prediction: Array, y: Array, out: Array, ws: Workspace) -> None:
        subtract(prediction, y, out)
        divide(out, prediction, out)
        divide(out, prediction, out)

    def backward(
        self, raw: Array, y: Array, terms: Array, output_activation: Activation, ws: Workspace
    ) -> None:
        if output_activation != self.output_activation:
            super().backward(raw, y, terms, output_activation, ws)
            return
        output_activation.forward(raw, ws)
        self.write_terms(raw, y, terms, ws)
        divide(y, raw, raw)  # rather than (p - y) / p, where a large p would be inf
        subtract(constant(1, raw.dtype), raw, raw)


@dataclass(frozen=True)
class CustomLoss(Loss):
    """A loss of your own.

    Parameters
    ----------
    function : callable
        function(y, prediction), the loss of each entry, of the shape of ``prediction``,
        (..., rows, outputs), whose last axis is then summed; or the loss of each row, of that
        shape without its last axis. All leading axes must be treated alike. A
        classifier's predictions are probabilities, and its y is 1 for the true class and 0 for
        the others. Pickling needs a function that can be imported, so not a lambda.
    derivative : callable
        derivative(y, prediction), of each row's loss by each of its predictions, of the
        shape of ``prediction``.

    Examples
    --------
    >>> import numpy as np
    >>> from bpestimator import BackpropRegressor, CustomLoss
    >>> fourth_power = CustomLoss(lambda y, p: (p - y) ** 4, lambda y, p: 4 * (p - y) ** 3)
    >>> X = np.linspace(-1, 1, 40).reshape(-1, 1)
    >>> reg = BackpropRegressor(fourth_power, (), solver="lbfgs", random_state=0)
    >>> bool(reg.fit(X, 2 * X.ravel()).score(X, 2 * X) > 0.99)
    True
    """

    function: Callable[[Array, Array], Array]
    derivative: Callable[[Array, Array], Array]

    name = "custom"
    output_activation = Identity()
    has_zero = False

    def __post_init__(self) -> None:
        check_functions(self, "function", "derivative")

    def pointwise(self, prediction: Array, y: Array) -> Any:
        losses = np.asarray(self.function(y, prediction))
        if losses.shape == prediction.shape[:-1]:
            losses = losses[..., None]
        elif losses.shape != prediction.shape:
            raise ValueError(_wrong_shape("function", prediction, losses))
        return losses

    def pointwise_derivative(self, prediction: Array, y: Array, out: Array, ws: Workspace) -> None:
        call(_fill, out, self.derivative, y, prediction)


def _fill(
    out: Array, derivative: Callable[[Array, Array], Array], y: Array, prediction: Array
) -> None:
    values = np.asarray(derivative(y, prediction))
    if values.shape != prediction.shape:
        raise ValueError(_wrong_shape("derivative", prediction, values))
    np.copyto(out, values, "same_kind")


def _wrong_shape(what: str, prediction: Array, values: Array) -> str:
    return (
        f"The {what} of a CustomLoss must return an array of the shape of the predictions, "
        f"{prediction.shape}. Got {values.shape}."
    )


REGRESSION_LOSSES: Mapping[str, Loss] = {
    loss.name: loss
    for loss in (
        SquaredError(),
        AbsoluteError(),
        Huber(),
        LogCosh(),
        Quantile(),
        Poisson(),
        Gamma(),
    )
}
