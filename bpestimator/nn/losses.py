"""Losses: how wrong the raw outputs are, and how to change them.

A loss joins a link, which turns raw outputs into predictions, to a penalty. All pairs here
are canonical, so the derivative of a row's penalty by its raw outputs is always

    delta = prediction - y.

A step needs delta only; the value is for the learning curve. So :meth:`Loss.delta` writes
down what each row's penalty depends on (its record) and :meth:`Loss.value` turns the
records of many batches into their mean penalties at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, prod
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy.special import expit, xlogy

from bpestimator.nn.layout import Array, Shape


@dataclass(frozen=True)
class Loss:
    """A link and the penalty on its predictions.

    Attributes
    ----------
    name : str
        What users write, e.g. ``loss="poisson"``.
    link_name : str
        What scikit-learn calls the link in ``out_activation_``.
    domain : tuple of float
        Smallest and largest target allowed; infinite ends are excluded.
    takes_labels : bool
        Whether y is an integer label per row, shape ``(..., batch)``, rather than a
        number per output, shape ``(..., batch, outputs)``.
    """

    name: ClassVar[str]
    link_name: ClassVar[str]
    domain: ClassVar[tuple[float, float]] = (-inf, inf)
    takes_labels: ClassVar[bool] = False

    def record_width(self, outputs: int) -> int:
        """Numbers that :meth:`delta` records of each row."""
        return outputs

    def gradient_scale(self, outputs: int) -> float:
        """By how much delta exceeds the derivative of :meth:`value`."""
        return 1.0

    def scratch(self, shape: Shape, dtype: Any) -> Any:
        """Buffers that :meth:`link` and :meth:`delta` need for raw outputs of this shape."""
        return None

    def link(self, raw: Array, scratch: Any) -> None:
        """raw := prediction."""
        raise NotImplementedError

    def delta(self, raw: Array, y: Array, record: Array, scratch: Any) -> None:
        """raw := d(penalty of a row) / d raw = prediction - y, row by row.

        ``record``, of shape ``(..., batch, record_width)``, receives what :meth:`value`
        needs. Nothing is averaged: the sum over rows is divided by their total weight when
        the gradient is complete, as scikit-learn does.
        """
        self.link(raw, scratch)
        np.copyto(record, raw)
        raw -= y

    def value(self, record: Array, y: Array, weight: Array | None, outputs: int) -> Array:
        """Mean penalty over the rows of each batch, as scikit-learn reports it.

        Parameters
        ----------
        record : ndarray of shape (..., batch, record_width)
        y : ndarray of shape (..., batch, outputs), or (..., batch) for labels
        weight : ndarray of shape (..., batch) or None
        outputs : int

        Returns
        -------
        ndarray of shape (...)
        """
        raise NotImplementedError


def _mean_over_rows(penalties: Array, weight: Array | None) -> Array:
    """Weighted mean of (..., batch, outputs) along the batch, in float64."""
    if weight is None:
        total = np.add.reduce(penalties, axis=-2, dtype=np.float64)
        return total / penalties.shape[-2]
    weighted = np.add.reduce(penalties * weight[..., None], axis=-2, dtype=np.float64)
    return weighted / np.add.reduce(weight, axis=-1)[..., None]


def _inside_unit_interval(probability: Array) -> Array:
    """Clip to [eps, 1 - eps], eps of the dtype, so that no logarithm is infinite."""
    eps = np.finfo(probability.dtype).eps
    return np.clip(probability, eps, 1 - eps)


@dataclass(frozen=True)
class SquaredError(Loss):
    """Half the squared error, with the identity link.

    Per row sum_j (raw_j - y_j)^2 / 2 is descended; the value reported is its *mean* over the
    k outputs, so delta is k times the derivative of :meth:`value`. That is scikit-learn's
    convention (its issue #8349), kept so that curves and weights both agree with it.
    """

    name = "squared_error"
    link_name = "identity"

    def gradient_scale(self, outputs: int) -> float:
        return float(outputs)

    def link(self, raw: Array, scratch: Any) -> None:
        pass

    def delta(self, raw: Array, y: Array, record: Array, scratch: Any) -> None:
        raw -= y
        np.multiply(raw, raw, out=record)

    def value(self, record: Array, y: Array, weight: Array | None, outputs: int) -> Array:
        return np.asarray(0.5 * _mean_over_rows(record, weight).mean(axis=-1))


@dataclass(frozen=True)
class Poisson(Loss):
    """Half the Poisson deviance, y log(y / mu) - y + mu, with the link mu = exp(raw).

    Summed over outputs; y >= 0.
    """

    name = "poisson"
    link_name = "exp"
    domain = (0.0, inf)

    def link(self, raw: Array, scratch: Any) -> None:
        np.exp(raw, out=raw)

    def value(self, record: Array, y: Array, weight: Array | None, outputs: int) -> Array:
        penalties = xlogy(y, y / record) - y + record
        return np.asarray(_mean_over_rows(penalties, weight).sum(axis=-1))


@dataclass(frozen=True)
class BinaryLogLoss(Loss):
    """-(y log p + (1 - y) log(1 - p)) with the link p = 1 / (1 + exp(-raw)), per output.

    For two classes (one output) and for multilabel targets (one output a label, summed).
    p is clipped to [eps, 1 - eps] in the value; y is in [0, 1].
    """

    name = "binary_log_loss"
    link_name = "logistic"
    domain = (0.0, 1.0)

    def link(self, raw: Array, scratch: Any) -> None:
        expit(raw, out=raw)

    def value(self, record: Array, y: Array, weight: Array | None, outputs: int) -> Array:
        p = _inside_unit_interval(record)
        log_likelihood = xlogy(y, p) + xlogy(1 - y, 1 - p)
        return np.asarray(-_mean_over_rows(log_likelihood, weight).sum(axis=-1))


class _SoftmaxScratch(NamedTuple):
    columns: Array  # (..., outputs, batch)
    row_max: Array  # (..., batch)
    row_sum: Array  # (..., batch, 1)
    offsets: Array  # (..., batch): where each row starts in the flattened raw outputs
    index: Array  # (..., batch): where each row's true class lies there


@dataclass(frozen=True)
class LogLoss(Loss):
    """-log p_y with the softmax link p_j = exp(raw_j) / sum_i exp(raw_i).

    y is the label 0 ... outputs - 1 of each row: a one-hot array is never made. Each row's
    maximum is subtracted first, which changes nothing but prevents overflow. The record is
    the probability of the true class, clipped to [eps, 1 - eps] in the value.
    """

    name = "log_loss"
    link_name = "softmax"
    takes_labels = True

    def record_width(self, outputs: int) -> int:
        return 1

    def scratch(self, shape: Shape, dtype: Any) -> _SoftmaxScratch:
        *lead, batch, outputs = shape
        rows = (*lead, batch)
        offsets = np.arange(0, prod(shape), outputs).reshape(rows)
        return _SoftmaxScratch(
            columns=np.empty((*lead, outputs, batch), dtype),
            row_max=np.empty(rows, dtype),
            row_sum=np.empty((*rows, 1), dtype),
            offsets=offsets,
            index=np.empty_like(offsets),
        )

    def link(self, raw: Array, scratch: _SoftmaxScratch) -> None:
        # A maximum does not depend on the order, and along the long axis it is far
        # cheaper; the sum does, so it stays along the rows.
        np.copyto(scratch.columns, raw.swapaxes(-1, -2))
        np.maximum.reduce(scratch.columns, axis=-2, out=scratch.row_max)
        raw -= scratch.row_max[..., None]
        np.exp(raw, out=raw)
        np.add.reduce(raw, axis=-1, keepdims=True, out=scratch.row_sum)
        raw /= scratch.row_sum

    def delta(self, raw: Array, y: Array, record: Array, scratch: _SoftmaxScratch) -> None:
        self.link(raw, scratch)
        np.add(scratch.offsets, y, out=scratch.index)
        p_true = record[..., 0]
        raw.take(scratch.index, None, p_true, "clip")
        raw.put(scratch.index, p_true - 1.0, "clip")

    def value(self, record: Array, y: Array, weight: Array | None, outputs: int) -> Array:
        log_p = xlogy(1.0, _inside_unit_interval(record[..., 0]))
        total: Any = log_p.shape[-1]
        if weight is not None:
            log_p = log_p * weight
            total = np.add.reduce(weight, axis=-1)[..., None]
        # Summed class by class first: the order of scikit-learn's one-hot average.
        lead = log_p.shape[:-1]
        batches = np.arange(0, prod(lead) * outputs, outputs).reshape((*lead, 1))
        sums = np.bincount(
            (batches + y).ravel(), log_p.ravel(), minlength=prod(lead) * outputs
        )
        return np.asarray(-(sums.reshape((*lead, outputs)) / total).sum(axis=-1))


LOSSES: Mapping[str, Loss] = {
    loss.name: loss for loss in (LogLoss(), BinaryLogLoss(), SquaredError(), Poisson())
}
