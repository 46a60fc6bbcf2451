"""Losses: how wrong the raw outputs are, and how to change them.

A loss joins a link, which turns raw outputs into predictions, to a penalty. All pairs here
are canonical, so the derivative of a row's penalty by its raw outputs is always

    delta = prediction - y.

A step needs delta only; the value is for the learning curve. So :meth:`Loss.delta` writes
down what each row's penalty depends on (its record) and :meth:`Loss.value` turns the
records of many batches into their mean penalties at once. Links and deltas yield their
calls (see :mod:`bpestimator.nn.tape`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf, prod
from typing import Any, ClassVar

import numpy as np
from numpy import add, copyto, divide, exp, maximum, minimum, multiply, subtract
from scipy.special import expit, xlogy

from bpestimator.nn.layout import Array, Shape
from bpestimator.nn.tape import Calls, call, constant, reduce_max, reduce_sum
from bpestimator.nn.workspace import Workspace


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

    def link(self, raw: Array, ws: Workspace) -> Calls:
        """raw := prediction."""
        raise NotImplementedError

    def delta(self, raw: Array, y: Array, record: Array, ws: Workspace) -> Calls:
        """raw := d(penalty of a row) / d raw = prediction - y, row by row.

        ``record``, of shape ``(..., batch, record_width)``, receives what :meth:`value`
        needs. Nothing is averaged: the sum over rows is divided by their total weight when
        the gradient is complete, as scikit-learn does.
        """
        yield from self.link(raw, ws)
        yield call(copyto, record, raw)
        yield call(subtract, raw, y, raw)

    def value(self, record: Array, y: Array, weight: Array | None, outputs: int) -> Any:
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


def _mean_over_rows(penalties: Array, weight: Array | None) -> Any:
    """Weighted mean of (..., batch, outputs) along the batch, in float64."""
    if weight is None:
        total = reduce_sum(penalties, axis=-2, dtype=np.float64)
        return total / penalties.shape[-2]
    weighted = reduce_sum(penalties * weight[..., None], axis=-2, dtype=np.float64)
    return weighted / reduce_sum(weight, axis=-1, dtype=np.float64)[..., None]


def _inside_unit_interval(probability: Array) -> Any:
    """Clip to [eps, 1 - eps], eps of the dtype, so that no logarithm is infinite."""
    eps = np.finfo(probability.dtype).eps
    clipped = maximum(probability, eps)
    return minimum(clipped, 1 - eps, out=clipped)


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

    def link(self, raw: Array, ws: Workspace) -> Calls:
        yield from ()

    def delta(self, raw: Array, y: Array, record: Array, ws: Workspace) -> Calls:
        yield call(subtract, raw, y, raw)
        yield call(multiply, raw, raw, record)

    def value(self, record: Array, y: Array, weight: Array | None, outputs: int) -> Any:
        return 0.5 * (reduce_sum(_mean_over_rows(record, weight), -1) / outputs)


@dataclass(frozen=True)
class Poisson(Loss):
    """Half the Poisson deviance, y log(y / mu) - y + mu, with the link mu = exp(raw).

    Summed over outputs; y >= 0.
    """

    name = "poisson"
    link_name = "exp"
    domain = (0.0, inf)

    def link(self, raw: Array, ws: Workspace) -> Calls:
        yield call(exp, raw, raw)

    def value(self, record: Array, y: Array, weight: Array | None, outputs: int) -> Any:
        penalties = xlogy(y, y / record) - y + record
        return reduce_sum(_mean_over_rows(penalties, weight), -1)


@dataclass(frozen=True)
class BinaryLogLoss(Loss):
    """-(y log p + (1 - y) log(1 - p)) with the link p = 1 / (1 + exp(-raw)), per output.

    For two classes (one output) and for multilabel targets (one output a label, summed).
    p is clipped to [eps, 1 - eps] in the value; y is in [0, 1].
    """

    name = "binary_log_loss"
    link_name = "logistic"
    domain = (0.0, 1.0)

    def link(self, raw: Array, ws: Workspace) -> Calls:
        yield call(expit, raw, raw)

    def value(self, record: Array, y: Array, weight: Array | None, outputs: int) -> Any:
        p = _inside_unit_interval(record)
        log_likelihood = xlogy(y, p) + xlogy(1 - y, 1 - p)
        return -reduce_sum(_mean_over_rows(log_likelihood, weight), -1)


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

    def link(self, raw: Array, ws: Workspace) -> Calls:
        # A maximum does not depend on the order, and along the long axis it is far
        # cheaper; the sum does, so it stays along the rows.
        columns = ws.empty(raw.swapaxes(-1, -2).shape, raw.dtype)
        row_max = ws.empty(raw.shape[:-1], raw.dtype)
        row_sum = ws.empty((*raw.shape[:-1], 1), raw.dtype)
        yield call(copyto, columns, raw.swapaxes(-1, -2))
        yield call(reduce_max, columns, -2, None, row_max)
        yield call(subtract, raw, row_max[..., None], raw)
        yield call(exp, raw, raw)
        yield call(reduce_sum, raw, -1, None, row_sum, True)
        yield call(divide, raw, row_sum, raw)

    def delta(self, raw: Array, y: Array, record: Array, ws: Workspace) -> Calls:
        outputs = raw.shape[-1]
        p_true = record[..., 0]
        row_starts = np.arange(0, raw.size, outputs).reshape(p_true.shape)
        # Where each row's true class lies in the flattened raw outputs.
        place = ws.empty(row_starts.shape, row_starts.dtype)
        excess = ws.empty(p_true.shape, raw.dtype)
        yield from self.link(raw, ws)
        yield call(add, row_starts, y, place)
        yield call(raw.take, place, None, p_true, "clip")
        yield call(subtract, p_true, constant(1, raw.dtype), excess)
        yield call(raw.put, place, excess, "clip")

    def value(self, record: Array, y: Array, weight: Array | None, outputs: int) -> Any:
        log_p = xlogy(1.0, _inside_unit_interval(record[..., 0]))
        total: Any = log_p.shape[-1]
        if weight is not None:
            log_p = log_p * weight
            total = reduce_sum(weight, -1, np.float64)[..., None]
        # Summed class by class first: the order of scikit-learn's one-hot average.
        n_batches = prod(log_p.shape[:-1])
        place = (_first_sums(log_p.shape[:-1], outputs) + y).ravel()
        sums = np.bincount(place, log_p.ravel(), minlength=n_batches * outputs)
        means = sums.reshape((*log_p.shape[:-1], outputs)) / total
        return -reduce_sum(means, -1)


@lru_cache(maxsize=64)
def _first_sums(lead: Shape, outputs: int) -> Array:
    """Where each batch's sums per class start, of shape lead + (1,)."""
    starts = np.arange(0, prod(lead) * outputs, outputs).reshape((*lead, 1))
    starts.flags.writeable = False  # every caller shares it
    return starts


LOSSES: Mapping[str, Loss] = {
    loss.name: loss for loss in (LogLoss(), BinaryLogLoss(), SquaredError(), Poisson())
}

# What turns the raw outputs of a fitted network into predictions.
LOSS_OF_LINK: Mapping[str, Loss] = {loss.link_name: loss for loss in LOSSES.values()}
