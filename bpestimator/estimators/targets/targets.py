"""Targets: what a network is to learn of y."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bpestimator.nn import Activation, Loss


@dataclass(frozen=True)
class Targets:
    """How y is encoded for a loss, weighted, and scored.

    Attributes
    ----------
    loss : Loss
    output_activation : Activation
        What turns raw outputs into predictions.
    n_outputs : int
        Units of the output layer.
    """

    loss: Loss
    output_activation: Activation
    n_outputs: int

    @property
    def attributes(self) -> dict[str, Any]:
        """What the fitted estimator keeps of y."""
        return {}

    def encode(self, y: Any, dtype: Any) -> np.ndarray:
        """y as the loss takes it: (n, outputs), or (n,) for labels; ValueError for another y."""
        raise NotImplementedError

    def check_held_out(self, y: Any) -> None:
        """ValueError if rows to validate on have a y that training does not know."""

    def warnings(self, y: Any) -> list[Warning]:
        """What users should know of y."""
        return []

    def weights(
        self, y: Any, sample_weight: np.ndarray | None, *, counted: Any = None
    ) -> np.ndarray | None:
        """The weight of each row, of shape (n,), or None.

        Where weights follow from how often classes occur, they are counted in ``counted`` if
        given, rather than in y.
        """
        return sample_weight

    def strata(self, encoded: np.ndarray) -> np.ndarray | None:
        """What early stopping stratifies its split by, of shape (n,); None for no strata."""
        return None

    def score(
        self, encoded: np.ndarray, predictions: np.ndarray, weight: np.ndarray | None
    ) -> float:
        """The score of predictions that early stopping goes by if no other is asked for."""
        raise NotImplementedError
