"""Losses: how wrong predictions are, and how to change the raw outputs behind them.

A loss is a penalty on a row's predictions, whose derivative stands beside it, and an output
activation (see
:mod:`bpestimator.nn.output_activations`) that suits it. Where penalty and output activation belong
together, as log loss
and softmax do, the derivative of the penalty by the raw outputs is simply

    delta = prediction - y;

with any other output activation the chain rule gives it.

A step needs delta only; the value is for the learning curve. So :meth:`Loss.backward` writes
down what each row's penalty depends on (its record) and :meth:`Loss.value` turns the
records of many batches into their mean penalties at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar

import numpy as np

from bpestimator.nn.activations import Activation
from bpestimator.nn.declared import Declared
from bpestimator.nn.layout import Array
from bpestimator.nn.recording import copyto, multiply, subtract
from bpestimator.nn.workspace import Workspace


@dataclass(frozen=True)
class Loss(Declared):
    """A penalty on predictions.

    Attributes
    ----------
    name : str
        What users write, e.g. ``loss="poisson"``.
    output_activation : Activation
        What turns raw outputs into predictions unless the user says otherwise.
    domain : tuple of float
        Between what targets must lie.
    rule : str
        The same in words.
    predictions : tuple of float
        Between what predictions must lie.
    takes_labels : bool
        Whether y is an integer label per row, shape ``(..., batch)``, rather than a
        number per output, shape ``(..., batch, outputs)``.
    """

    recorded_methods = ("backward", "slope", "note")
    renamed: ClassVar[Mapping[str, str]] = {"link": "output_activation"}

    name: ClassVar[str]
    output_activation: ClassVar[Activation]
    domain: ClassVar[tuple[float, float]] = (-inf, inf)
    rule: ClassVar[str] = "finite"
    predictions: ClassVar[tuple[float, float]] = (-inf, inf)
    takes_labels: ClassVar[bool] = False

    @property
    def binary(self) -> Loss:
        """The same penalty where every output is a yes or a no of its own, for classes."""
        return self

    def outputs_of(self, columns: int) -> int:
        """Outputs that the network needs for that many columns of y."""
        return columns

    def record_width(self, outputs: int) -> int:
        """Numbers that :meth:`backward` records of each row."""
        return outputs

    def gradient_scale(self, outputs: int) -> float:
        """By how much delta exceeds the derivative of :meth:`value`."""
        return 1.0

    def penalty(self, prediction: Array, y: Array) -> Any:
        """The penalty of each prediction, of the same shape; a row's are summed."""
        raise NotImplementedError

    def slope(self, prediction: Array, y: Array, out: Array, ws: Workspace) -> None:
        """out := d penalty / d prediction."""
        raise NotImplementedError

    def note(self, prediction: Array, y: Array, record: Array, ws: Workspace) -> None:
        """record := what :meth:`value` needs, of shape ``(..., batch, record_width)``."""
        copyto(record, prediction)

    def backward(
        self, raw: Array, y: Array, record: Array, output_activation: Activation, ws: Workspace
    ) -> None:
        """raw := d(penalty of a row) / d raw, row by row, and note the record.

        Nothing is averaged: the sum over rows is divided by their total weight when the
        gradient is complete, as scikit-learn does.
        """
        slope = ws.like(raw)
        output_activation.forward(raw, ws)
        self.note(raw, y, record, ws)
        self.slope(raw, y, slope, ws)
        output_activation.backward(raw, slope, ws)
        copyto(raw, slope)

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
        return np.add.reduce(mean_over_rows(self.penalty(record, y), weight), -1)


@dataclass(frozen=True)
class Canonical(Loss):
    """A loss for which delta = prediction - y with the output activation that suits it."""

    def backward(
        self, raw: Array, y: Array, record: Array, output_activation: Activation, ws: Workspace
    ) -> None:
        if output_activation != self.output_activation:
            super().backward(raw, y, record, output_activation, ws)
            return
        output_activation.forward(raw, ws)
        self.note(raw, y, record, ws)
        subtract(raw, y, raw)


def mean_over_rows(penalties: Array, weight: Array | None) -> Any:
    """Weighted mean of (..., batch, outputs) along the batch, in float64."""
    if weight is None:
        total = np.add.reduce(penalties, axis=-2, dtype=np.float64)
        return total / penalties.shape[-2]
    weighted = np.add.reduce(penalties * weight[..., None], axis=-2, dtype=np.float64)
    return weighted / np.add.reduce(weight, axis=-1, dtype=np.float64)[..., None]


def mean_loss(loss: Loss, predictions: Array, y: Array, weight: Array | None) -> float:
    """Mean penalty of one model's predictions, of shape (rows, outputs)."""
    rows, outputs = predictions.shape
    record = np.empty((rows, loss.record_width(outputs)), predictions.dtype)
    loss.note(predictions, y, record, Workspace((), rows, backward=False))
    return float(loss.value(record, y, weight, outputs))


def squared_errors(prediction: Array, y: Array, out: Array) -> None:
    """out := (prediction - y)^2."""
    subtract(prediction, y, out)
    multiply(out, out, out)
