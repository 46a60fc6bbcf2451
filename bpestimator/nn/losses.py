"""Losses: how wrong predictions are, and the derivative by the raw outputs.

A loss declares a pointwise loss l(p, y) of each prediction, its derivative dl/dp beside it, and
the output activation that suits it (see :mod:`bpestimator.nn.output_activations`). The chain
rule through the output activation gives

    delta = d loss / d raw.

Where the two match, as log loss and softmax do, delta is simply prediction - y.

A step needs delta only; the value is for the learning curve. So :meth:`Loss.backward` keeps the
terms that each row's loss depends on, and :meth:`Loss.value` computes the mean losses of many
batches from them at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar

import numpy as np

from bpestimator.nn.activations import Activation
from bpestimator.nn.arrays import Array
from bpestimator.nn.declared import Declared
from bpestimator.nn.kernels.workspace import Workspace
from bpestimator.nn.recording import copyto, multiply, subtract


@dataclass(frozen=True)
class Loss(Declared):
    """A loss of predictions.

    Attributes
    ----------
    name : str
        What users write, e.g. ``loss="poisson"``.
    output_activation : Activation
        Turns raw outputs into predictions unless the user chooses another.
    domain : tuple of float
        The lowest and the highest target allowed.
    rule : str
        The same in words, for error messages.
    predictions : tuple of float
        The lowest and the highest prediction allowed.
    takes_labels : bool
        Whether y is an integer label per row, shape ``(..., batch)``, rather than a
        number per output, shape ``(..., batch, outputs)``.
    has_zero : bool
        Whether 0 is the lowest value possible, so that values may be compared with it.
    """

    recorded_methods = ("backward", "pointwise_derivative", "write_terms")
    renamed: ClassVar[Mapping[str, str]] = {
        "link": "output_activation",
        "penalty": "pointwise",
        "slope": "pointwise_derivative",
        "note": "write_terms",
        "record_width": "n_terms",
    }

    name: ClassVar[str]
    output_activation: ClassVar[Activation]
    domain: ClassVar[tuple[float, float]] = (-inf, inf)
    rule: ClassVar[str] = "finite"
    predictions: ClassVar[tuple[float, float]] = (-inf, inf)
    takes_labels: ClassVar[bool] = False
    has_zero: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Have what a class outside this package overrides take effect.

        The losses of this package have quicker ways than :meth:`backward` and :meth:`value` below,
        which do without ``pointwise`` and ``pointwise_derivative``.
        """
        super().__init_subclass__(**kwargs)
        if "pointwise" in cls.overridden:
            _use_general(cls, "value", "write_terms", "n_terms", "backward")
        elif "pointwise_derivative" in cls.overridden:
            _use_general(cls, "backward")

    def form(self, other: Loss) -> Loss:
        """Another form of a loss of this package; TypeError for a loss that computes otherwise."""
        computing = {*self.recorded_methods, "pointwise", "value"}
        if computing & self.overridden:
            raise TypeError(
                f"{type(self).__name__} changes how {self.name} is computed, so it must define its "
                "own binary, for two classes and multilabel y, and soft, for label_smoothing: "
                "properties that return a Loss."
            )
        return other

    @property
    def binary(self) -> Loss:
        """The same loss where each output is the probability of a yes, with y of 0 and 1."""
        return self

    @property
    def soft(self) -> Loss:
        """The same loss where y is a probability per class, as label smoothing makes it."""
        return self

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantiles that the outputs predict; () where they predict none."""
        return ()

    def outputs_of(self, columns: int) -> int:
        """Outputs that the network needs for that many columns of y."""
        return columns

    def output_activation_with(self, chosen: Activation) -> Activation:
        """The output activation where the user has chosen that elementwise one."""
        return chosen

    def n_terms(self, outputs: int) -> int:
        """Numbers that :meth:`backward` keeps of each row."""
        return outputs

    def gradient_scale(self, outputs: int) -> float:
        """The factor between delta and the derivative of :meth:`value`."""
        return 1.0

    def pointwise(self, prediction: Array, y: Array) -> Any:
        """The loss l(p, y) of each prediction, of the same shape; a row's are summed."""
        raise self.must_define("pointwise")

    def pointwise_derivative(self, prediction: Array, y: Array, out: Array, ws: Workspace) -> None:
        """out := dl/dp."""
        raise self.must_define("pointwise_derivative")

    def write_terms(self, prediction: Array, y: Array, terms: Array, ws: Workspace) -> None:
        """terms := what :meth:`value` needs, of shape ``(..., batch, n_terms)``."""
        copyto(terms, prediction)

    def backward(
        self, raw: Array, y: Array, terms: Array, output_activation: Activation, ws: Workspace
    ) -> None:
        """raw := delta, the derivative of each row's loss by its raw outputs; write the terms.

        Nothing is averaged: the sum over rows is divided by their total weight when the
        gradient is complete, as in scikit-learn.
        """
        derivative = ws.like(raw)
        output_activation.forward(raw, ws)
        self.write_terms(raw, y, terms, ws)
        self.pointwise_derivative(raw, y, derivative, ws)
        output_activation.backward(raw, derivative, ws)
        copyto(raw, derivative)

    def value(self, terms: Array, y: Array, weight: Array | None, outputs: int) -> Any:
        """Mean loss of the rows of each batch, as scikit-learn reports it.

        Parameters
        ----------
        terms : ndarray of shape (..., batch, n_terms)
        y : ndarray of shape (..., batch, outputs), or (..., batch) for labels
        weight : ndarray of shape (..., batch) or None
        outputs : int

        Returns
        -------
        ndarray of shape (...)
        """
        summed = np.add.reduce(mean_over_rows(self.pointwise(terms, y), weight), -1)
        return summed / self.gradient_scale(outputs)


def _use_general(cls: type[Loss], *methods: str) -> None:
    """Give a class the general methods, but for those that classes outside this package define."""
    for method in methods:
        if method not in cls.overridden:
            setattr(cls, method, getattr(Loss, method))


@dataclass(frozen=True)
class MatchingLoss(Loss):
    """A loss whose delta, with the output activation that matches it, is prediction - y.

    Source: Bishop, "Pattern recognition and machine learning" (2006), section 4.3.6, where the
    output activation is called the canonical one.
    """

    def backward(
        self, raw: Array, y: Array, terms: Array, output_activation: Activation, ws: Workspace
    ) -> None:
        if output_activation != self.output_activation:
            super().backward(raw, y, terms, output_activation, ws)
            return
        output_activation.forward(raw, ws)
        self.write_terms(raw, y, terms, ws)
        subtract(raw, y, raw)


def mean_over_rows(losses: Array, weight: Array | None) -> Any:
    """Weighted mean of (..., batch, outputs) over the batch, in float64."""
    if weight is None:
        total = np.add.reduce(losses, axis=-2, dtype=np.float64)
        return total / losses.shape[-2]
    weighted = np.add.reduce(losses * weight[..., None], axis=-2, dtype=np.float64)
    return weighted / np.add.reduce(weight, axis=-1, dtype=np.float64)[..., None]


def mean_loss(loss: Loss, predictions: Array, y: Array, weight: Array | None) -> float:
    """Mean loss of one model's predictions, of shape (rows, outputs)."""
    rows, outputs = predictions.shape
    terms = np.empty((rows, loss.n_terms(outputs)), predictions.dtype)
    loss.write_terms(predictions, y, terms, Workspace((), rows, backward=False))
    return float(loss.value(terms, y, weight, outputs))


def squared_errors(prediction: Array, y: Array, out: Array) -> None:
    """out := (prediction - y)^2."""
    subtract(prediction, y, out)
    multiply(out, out, out)
