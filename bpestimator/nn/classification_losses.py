"""Classification losses: penalties on probabilities, and what they mean for the raw outputs.

Three classes or more have an output each, joined by softmax; two classes have one, and
multilabel targets one a label, each logistic. A loss that differs between the two names the
other as its ``binary``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf, prod
from typing import Any, ClassVar

import numpy as np
from scipy.special import xlogy

from bpestimator.nn.activations import Activation, Logistic
from bpestimator.nn.layout import Array, Shape, in_memory
from bpestimator.nn.losses import Canonical, Loss
from bpestimator.nn.output_activations import Softmax
from bpestimator.nn.ranges import check_range
from bpestimator.nn.recording import (
    add,
    call,
    constant,
    log,
    maximum,
    minimum,
    multiply,
    power,
    reduce_sum,
    subtract,
)
from bpestimator.nn.regression_losses import REGRESSION_LOSSES, SquaredError
from bpestimator.nn.workspace import Workspace


def _inside_unit_interval(probability: Array) -> Any:
    """Clip to [eps, 1 - eps], eps of the dtype, so that no logarithm is infinite."""
    low, high = _ends(probability.dtype)
    clipped = np.maximum(probability, low)
    return np.minimum(clipped, high, out=clipped)


@lru_cache
def _ends(dtype: Any) -> tuple[Any, Any]:
    # Looked up once: small networks notice the microsecond an epoch.
    eps = np.finfo(dtype).eps
    return constant(eps, dtype), constant(1 - eps, dtype)


@dataclass(frozen=True)
class BinaryLogLoss(Canonical):
    """-(y log p + (1 - y) log(1 - p)) with logistic outputs p = 1 / (1 + exp(-raw)).

    For two classes (one output) and for multilabel targets (one output a label, summed).
    p is clipped to [eps, 1 - eps] in the value; y is in [0, 1].
    """

    name = "binary_log_loss"
    output_activation = Logistic()
    domain = (0.0, 1.0)
    predictions = (0.0, 1.0)

    def penalty(self, prediction: Array, y: Array) -> Any:
        p = _inside_unit_interval(prediction)
        return -(xlogy(y, p) + xlogy(1 - y, 1 - p))


@dataclass(frozen=True)
class SoftLogLoss(Canonical):
    """-sum_j y_j log p_j with the softmax output activation, for y_j that are shares of a row.

    Label smoothing makes them so. p is clipped to [eps, 1 - eps] in the value.
    """

    name = "soft_log_loss"
    output_activation = Softmax()
    domain = (0.0, 1.0)
    predictions = (0.0, 1.0)

    def penalty(self, prediction: Array, y: Array) -> Any:
        return -xlogy(y, _inside_unit_interval(prediction))

    def backward(
        self, raw: Array, y: Array, record: Array, output_activation: Activation, ws: Workspace
    ) -> None:
        # Where a row's y add up to 1, as they should, delta is p - y; in general p * sum(y) - y.
        total = ws.empty((*y.shape[:-1], 1), raw.dtype)
        output_activation.forward(raw, ws)
        self.note(raw, y, record, ws)
        reduce_sum(y, -1, None, total, True)
        multiply(raw, total, raw)
        subtract(raw, y, raw)


@dataclass(frozen=True)
class LogLoss(Loss):
    """-log p_y with softmax outputs p_j = exp(raw_j) / sum_i exp(raw_i);  delta = p - onehot(y).

    y is the label 0 ... outputs - 1 of each row: a one-hot array is never made. The record is
    the probability of the true class, clipped to [eps, 1 - eps] in the value.
    """

    name = "log_loss"
    output_activation = Softmax()
    predictions = (0.0, 1.0)
    takes_labels = True

    @property
    def binary(self) -> Loss:
        return BinaryLogLoss()

    @property
    def soft(self) -> Loss:
        return SoftLogLoss()

    def record_width(self, outputs: int) -> int:
        return 1

    def note(self, prediction: Array, y: Array, record: Array, ws: Workspace) -> None:
        place = ws.empty(prediction.shape[:-1], np.dtype(np.intp))
        self._note(prediction, y, record, place)

    def _note(self, prediction: Array, y: Array, record: Array, place: Array) -> None:
        """As :meth:`note`; ``place`` receives where in memory each row's true class lies."""
        entries, places = in_memory(prediction)
        add(np.ascontiguousarray(places[..., 0]), y, place)
        call(entries.take, place, None, record[..., 0], "clip")

    def backward(
        self, raw: Array, y: Array, record: Array, output_activation: Activation, ws: Workspace
    ) -> None:
        place = ws.empty(raw.shape[:-1], np.dtype(np.intp))
        excess = ws.empty(raw.shape[:-1], raw.dtype)
        entries, _ = in_memory(raw)
        output_activation.forward(raw, ws)
        self._note(raw, y, record, place)
        subtract(record[..., 0], constant(1, raw.dtype), excess)
        call(entries.put, place, excess, "clip")

    def value(self, record: Array, y: Array, weight: Array | None, outputs: int) -> Any:
        log_p = xlogy(1.0, _inside_unit_interval(record[..., 0]))
        total: Any = log_p.shape[-1]
        if weight is not None:
            log_p = log_p * weight
            total = np.add.reduce(weight, -1, np.float64)[..., None]
        # Summed class by class first: the order of scikit-learn's one-hot average.
        n_batches = prod(log_p.shape[:-1])
        place = (_first_sums(log_p.shape[:-1], outputs) + y).ravel()
        sums = np.bincount(place, log_p.ravel(), minlength=n_batches * outputs)
        means = sums.reshape((*log_p.shape[:-1], outputs)) / total
        return -np.add.reduce(means, -1)


@lru_cache(maxsize=64)
def _first_sums(lead: Shape, outputs: int) -> Array:
    """Where each batch's sums per class start, of shape lead + (1,)."""
    starts = np.arange(0, prod(lead) * outputs, outputs).reshape((*lead, 1))
    starts.flags.writeable = False  # every caller shares it
    return starts


@dataclass(frozen=True)
class Focal(Loss):
    """-(1 - p_y)^gamma log p_y: log loss that spends less on rows already right.

    With w = gamma p_y log(p_y) (1 - p_y)^(gamma - 1) - (1 - p_y)^gamma, the derivative by p_y
    times p_y, and the softmax output activation, delta_j = w (onehot(y)_j - p_j). gamma = 0 is log
    loss.

    Source: Lin, Goyal, Girshick, He and Dollár, "Focal loss for dense object detection", ICCV
    2017 (arXiv 1708.02002), eq. 4; its factor per class is ``class_weight`` here.

    Parameters
    ----------
    gamma : float, default=2.0
        How fast a row loses its say as it gets right; at least 0.

    Examples
    --------
    >>> from bpestimator import BackpropClassifier, Focal
    >>> BackpropClassifier(loss=Focal(gamma=1.5)).loss
    Focal(gamma=1.5)
    """

    gamma: float = 2.0

    name = "focal"
    output_activation: ClassVar[Activation] = Softmax()
    domain = (0.0, 1.0)
    predictions = (0.0, 1.0)

    def __post_init__(self) -> None:
        check_range(self, "gamma", 0, inf)

    @property
    def binary(self) -> Loss:
        return BinaryFocal(self.gamma)

    def penalty(self, prediction: Array, y: Array) -> Any:
        p = _inside_unit_interval(prediction)
        return -y * (1 - p) ** self.gamma * np.log(p)

    def backward(
        self, raw: Array, y: Array, record: Array, output_activation: Activation, ws: Workspace
    ) -> None:
        pull = ws.like(raw)
        total = ws.empty((*raw.shape[:-1], 1), raw.dtype)
        output_activation.forward(raw, ws)
        self.note(raw, y, record, ws)
        self._pull(raw, pull, ws)
        multiply(pull, y, pull)
        reduce_sum(pull, -1, None, total, True)
        multiply(raw, total, raw)
        subtract(pull, raw, raw)

    def _pull(self, p: Array, out: Array, ws: Workspace) -> None:
        """out := w, were p the probability of the true class."""
        inside, rest = ws.like(p), ws.like(p)
        low, high = _ends(p.dtype)
        maximum(p, low, out=inside)
        minimum(inside, high, out=inside)
        log(inside, out)
        multiply(out, inside, out)
        multiply(out, constant(self.gamma, p.dtype), out)
        subtract(constant(1, p.dtype), inside, inside)
        power(inside, constant(self.gamma - 1, p.dtype), rest)
        multiply(out, rest, out)
        multiply(rest, inside, rest)
        subtract(out, rest, out)


@dataclass(frozen=True)
class BinaryFocal(Focal):
    """As :class:`Focal` with logistic outputs: a row is right with p or with 1 - p.

    -y (1 - p)^gamma log p - (1 - y) p^gamma log(1 - p), and
    delta = y (1 - p) w(p) - (1 - y) p w(1 - p).
    """

    name = "binary_focal"
    output_activation = Logistic()

    @property
    def binary(self) -> Loss:
        return self

    def penalty(self, prediction: Array, y: Array) -> Any:
        return super().penalty(prediction, y) + super().penalty(1 - prediction, 1 - y)

    def backward(
        self, raw: Array, y: Array, record: Array, output_activation: Activation, ws: Workspace
    ) -> None:
        q, pull = ws.like(raw), ws.like(raw)
        pull_back = ws.like(raw)
        output_activation.forward(raw, ws)
        self.note(raw, y, record, ws)
        subtract(constant(1, raw.dtype), raw, q)
        self._pull(raw, pull, ws)
        self._pull(q, pull_back, ws)
        multiply(pull, q, pull)
        multiply(pull, y, pull)
        multiply(pull_back, raw, pull_back)
        subtract(y, constant(1, raw.dtype), raw)
        multiply(pull_back, raw, pull_back)
        add(pull, pull_back, raw)


CLASSIFICATION_LOSSES: Mapping[str, Loss] = {
    loss.name: loss for loss in (LogLoss(), SquaredError(), Focal())
}

# Every pair of a penalty and the output activation that suits it.
LOSSES: Mapping[str, Loss] = {
    loss.name: loss
    for loss in (
        *CLASSIFICATION_LOSSES.values(),
        BinaryLogLoss(),
        SoftLogLoss(),
        BinaryFocal(),
        *REGRESSION_LOSSES.values(),
    )
}
