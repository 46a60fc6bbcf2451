"""Classification losses: functions of probabilities, and their derivatives by the raw outputs.

Three classes or more have an output each, with softmax. Two classes have a single output, and
multilabel targets have one for each label, all of them logistic. A loss that differs between
the two kinds gives the second as its ``binary``.
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
from bpestimator.nn.arrays import Array, Shape
from bpestimator.nn.checks import check_range
from bpestimator.nn.kernels.buffers import in_memory
from bpestimator.nn.kernels.workspace import Workspace
from bpestimator.nn.losses import Loss, MatchingLoss
from bpestimator.nn.output_activations import Softmax
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


def _inside_unit_interval(probability: Array) -> Any:
    """Clip to [eps, 1 - eps], eps of the dtype, so that no logarithm is infinite."""
    low, high = _ends(probability.dtype)
    clipped = np.maximum(probability, low)
    return np.minimum(clipped, high, out=clipped)


@lru_cache
def _ends(dtype: Any) -> tuple[Any, Any]:
    # Cached: in small networks the microsecond that it takes is noticeable in every epoch.
    eps = np.finfo(dtype).eps
    return constant(eps, dtype), constant(1 - eps, dtype)


@dataclass(frozen=True)
class BinaryLogLoss(MatchingLoss):
    """-(y log p + (1 - y) log(1 - p)) with logistic outputs p = 1 / (1 + exp(-raw)).

    For two classes (one output) and for multilabel targets (one output a label, summed).
    p is clipped to [eps, 1 - eps] in the value; y is in [0, 1].
    """

    name = "binary_log_loss"
    output_activation = Logistic()
    domain = (0.0, 1.0)
    predictions = (0.0, 1.0)

    def pointwise(self, prediction: Array, y: Array) -> Any:
        p = _inside_unit_interval(prediction)
        return -(xlogy(y, p) + xlogy(1 - y, 1 - p))


@dataclass(frozen=True)
class SoftLogLoss(MatchingLoss):
    """-sum_j y_j log p_j with softmax outputs p_j, where the y_j of a row are probabilities.

    Label smoothing makes such y. p is clipped to [eps, 1 - eps] in the value.
    """

    name = "soft_log_loss"
    output_activation = Softmax()
    domain = (0.0, 1.0)
    predictions = (0.0, 1.0)

    def pointwise(self, prediction: Array, y: Array) -> Any:
        return -xlogy(y, _inside_unit_interval(prediction))

    def backward(
        self, raw: Array, y: Array, terms: Array, output_activation: Activation, ws: Workspace
    ) -> None:
        # delta is p sum(y) - y, which is p - y where the y of a row add up to 1.
        total = ws.empty((*y.shape[:-1], 1), raw.dtype)
        output_activation.forward(raw, ws)
        self.write_terms(raw, y, terms, ws)
        reduce_sum(y, -1, None, total, True)
        multiply(raw, total, raw)
        subtract(raw, y, raw)


@dataclass(frozen=True)
class LogLoss(Loss):
    """-log p_y with softmax outputs p_j = exp(raw_j) / sum_i exp(raw_i);  delta = p - onehot(y).

    y is the label 0 ... outputs - 1 of each row: a one-hot array is never made. A row's term is
    the probability of its true class, clipped to [eps, 1 - eps] in the value.
    """

    name = "log_loss"
    output_activation = Softmax()
    predictions = (0.0, 1.0)
    takes_labels = True

    @property
    def binary(self) -> Loss:
        return self.form(BinaryLogLoss())

    @property
    def soft(self) -> Loss:
        return self.form(SoftLogLoss())

    def n_terms(self, outputs: int) -> int:
        return 1

    def write_terms(self, prediction: Array, y: Array, terms: Array, ws: Workspace) -> None:
        place = ws.empty(prediction.shape[:-1], np.dtype(np.intp))
        _take_true_class(prediction, y, terms, place)

    def backward(
        self, raw: Array, y: Array, terms: Array, output_activation: Activation, ws: Workspace
    ) -> None:
        place = ws.empty(raw.shape[:-1], np.dtype(np.intp))
        excess = ws.empty(raw.shape[:-1], raw.dtype)
        entries, _ = in_memory(raw)
        output_activation.forward(raw, ws)
        _take_true_class(raw, y, terms, place)
        subtract(terms[..., 0], constant(1, raw.dtype), excess)
        call(entries.put, place, excess, "clip")

    def value(self, terms: Array, y: Array, weight: Array | None, outputs: int) -> Any:
        log_p = xlogy(1.0, _inside_unit_interval(terms[..., 0]))
        total: Any = log_p.shape[-1]
        if weight is not None:
            log_p = log_p * weight
            total = np.add.reduce(weight, -1, np.float64)[..., None]
        # Summed class by class first: the order of scikit-learn's average of one-hot rows.
        n_batches = prod(log_p.shape[:-1])
        place = (_first_sums(log_p.shape[:-1], outputs) + y).ravel()
        sums = np.bincount(place, log_p.ravel(), minlength=n_batches * outputs)
        means = sums.reshape((*log_p.shape[:-1], outputs)) / total
        return -np.add.reduce(means, -1)


def _take_true_class(p: Array, y: Array, out: Array, place: Array) -> None:
    """out[..., 0] := p_y of each row;  place := where in memory p_y lies."""
    entries, places = in_memory(p)
    add(np.ascontiguousarray(places[..., 0]), y, place)
    call(entries.take, place, None, out[..., 0], "clip")


@lru_cache(maxsize=64)
def _first_sums(lead: Shape, outputs: int) -> Array:
    """The index of each batch's first sum, of one sum per class; of shape lead + (1,)."""
    starts = np.arange(0, prod(lead) * outputs, outputs).reshape((*lead, 1))
    starts.flags.writeable = False  # every caller shares it
    return starts


@dataclass(frozen=True)
class Focal(Loss):
    """-(1 - p_y)^gamma log p_y: log loss with less weight on rows that are classified well.

    With w(p) = gamma p log(p) (1 - p)^(gamma - 1) - (1 - p)^gamma, which is p times the loss's
    derivative, and with softmax outputs, delta_j = w(p_y) (onehot(y)_j - p_j). gamma = 0 is log
    loss.

    Source: Lin, Goyal, Girshick, He and Dollár, "Focal loss for dense object detection", ICCV
    2017 (arXiv 1708.02002), eq. 4; its factor per class is ``class_weight`` here.

    Parameters
    ----------
    gamma : float, default=2.0
        How fast a row's weight falls as its p_y rises; at least 0.

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
        return self.form(BinaryFocal(self.gamma))

    def pointwise(self, prediction: Array, y: Array) -> Any:
        p = _inside_unit_interval(prediction)
        return -y * (1 - p) ** self.gamma * np.log(p)

    def backward(
        self, raw: Array, y: Array, terms: Array, output_activation: Activation, ws: Workspace
    ) -> None:
        w = ws.like(raw)
        total = ws.empty((*raw.shape[:-1], 1), raw.dtype)
        output_activation.forward(raw, ws)
        self.write_terms(raw, y, terms, ws)
        _focal_w(raw, self.gamma, w, ws)
        multiply(w, y, w)
        reduce_sum(w, -1, None, total, True)
        multiply(raw, total, raw)
        subtract(w, raw, raw)


def _focal_w(p: Array, gamma: float, out: Array, ws: Workspace) -> None:
    """out := w(p) = gamma p log(p) (1 - p)^(gamma - 1) - (1 - p)^gamma."""
    inside, rest = ws.like(p), ws.like(p)
    low, high = _ends(p.dtype)
    maximum(p, low, out=inside)
    minimum(inside, high, out=inside)
    log(inside, out)
    multiply(out, inside, out)
    multiply(out, constant(gamma, p.dtype), out)
    subtract(constant(1, p.dtype), inside, inside)
    power(inside, constant(gamma - 1, p.dtype), rest)
    multiply(out, rest, out)
    multiply(rest, inside, rest)
    subtract(out, rest, out)


@dataclass(frozen=True)
class BinaryFocal(Focal):
    """-y (1 - p)^gamma log p - (1 - y) p^gamma log(1 - p) with logistic outputs p.

    delta = y (1 - p) w(p) - (1 - y) p w(1 - p), with w as in :class:`Focal`.
    """

    name = "binary_focal"
    output_activation = Logistic()

    @property
    def binary(self) -> Loss:
        return self

    def pointwise(self, prediction: Array, y: Array) -> Any:
        return super().pointwise(prediction, y) + super().pointwise(1 - prediction, 1 - y)

    def backward(
        self, raw: Array, y: Array, terms: Array, output_activation: Activation, ws: Workspace
    ) -> None:
        q, w_p = ws.like(raw), ws.like(raw)
        w_q = ws.like(raw)
        output_activation.forward(raw, ws)
        self.write_terms(raw, y, terms, ws)
        subtract(constant(1, raw.dtype), raw, q)
        _focal_w(raw, self.gamma, w_p, ws)
        _focal_w(q, self.gamma, w_q, ws)
        multiply(w_p, q, w_p)
        multiply(w_p, y, w_p)
        multiply(w_q, raw, w_q)
        subtract(y, constant(1, raw.dtype), raw)
        multiply(w_q, raw, w_q)
        add(w_p, w_q, raw)


CLASSIFICATION_LOSSES: Mapping[str, Loss] = {
    loss.name: loss for loss in (LogLoss(), SquaredError(), Focal())
}

# Every loss, those included that replace a classifier's loss for two classes or soft labels.
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
