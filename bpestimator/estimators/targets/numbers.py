"""Numbers as targets: one or more outputs."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from statistics import fmean
from typing import Any

import numpy as np
from sklearn.metrics import d2_pinball_score

from bpestimator.estimators.parameters import RegressorSettings, output_activation_of
from bpestimator.estimators.targets.scores import r2
from bpestimator.estimators.targets.targets import Targets, dense


@dataclass(frozen=True)
class NumberTargets(Targets):
    """Numbers, which need no encoding: the network predicts them directly."""

    @classmethod
    def of(cls, y: Any, settings: RegressorSettings) -> NumberTargets:
        """The targets of y, of shape (n,) or (n, outputs).

        Raises
        ------
        ValueError
            For a y of more columns than the loss takes.
        """
        loss = settings.loss_object
        n_outputs = loss.outputs_of(1 if y.ndim == 1 else y.shape[1])
        return cls(loss, output_activation_of(settings.output_activation, loss), n_outputs)

    def encode(self, y: Any, dtype: Any) -> np.ndarray:
        y = dense(y)
        if y.dtype.kind not in "biuf":
            raise ValueError(
                "Unknown label type: BackpropRegressor takes numbers as y. Got values such as "
                f"{y.flat[0]!r}: convert them to numbers, or use BackpropClassifier if "
                "they are labels."
            )
        smallest, largest = y.min(), y.max()
        low, high = self.loss.domain
        if (isfinite(low) and smallest < low) or (isfinite(high) and largest > high):
            raise ValueError(
                f"loss={self.loss.name!r} takes targets {self.loss.rule}. Got {smallest:g} "
                "instead: shift or clip y, or choose another loss."
            )
        return np.asarray(y.reshape(len(y), -1), dtype, order="C")

    def check_held_out(self, y: Any) -> None:
        n_outputs = self.loss.outputs_of(1 if y.ndim == 1 else y.shape[1])
        if n_outputs != self.n_outputs:
            raise ValueError(
                f"y_val needs {n_outputs} outputs of the network, but y needs {self.n_outputs}. "
                "Pass both with as many columns."
            )

    def warnings(self, y: Any) -> list[Warning]:
        y = dense(y)
        smallest, largest = y.min(), y.max()
        low, high = self.output_activation.bounds
        if low <= smallest and largest <= high:
            return []
        return [
            UserWarning(
                f"The network cannot predict all targets, from {smallest:g} to {largest:g}: "
                f"output_activation={self.output_activation.name!r} has values between {low:g} "
                f"and {high:g}. Scale y, for instance with TransformedTargetRegressor."
            )
        ]

    def score(
        self, encoded: np.ndarray, predictions: np.ndarray, weight: np.ndarray | None
    ) -> float:
        if not np.isfinite(predictions).all():
            return float("nan")
        if self.loss.levels:
            return pinball_score(encoded, predictions, weight, self.loss.levels)
        return r2(encoded, predictions, weight)


def pinball_score(
    y: np.ndarray,
    predictions: np.ndarray,
    weight: np.ndarray | None,
    levels: tuple[float, ...],
) -> float:
    """D^2 of the pinball loss, averaged over the levels.

    D^2 = 1 - (loss of the predictions) / (loss of the best constant). 1 is the best value; 0 is as
    good as the constant.
    """
    if len(levels) == 1:
        return float(d2_pinball_score(y, predictions, sample_weight=weight, alpha=levels[0]))
    return fmean(
        d2_pinball_score(y, column, sample_weight=weight, alpha=level)
        for column, level in zip(predictions.T, levels, strict=True)
    )
