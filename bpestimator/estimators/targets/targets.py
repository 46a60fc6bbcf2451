"""Targets: how y is encoded, weighted and scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bpestimator.nn import Activation, Loss


@dataclass(frozen=True)
class Targets:
    """How y is encoded for a loss, weighted and scored.

    Attributes
    ----------
    loss : Loss
    output_activation : Activation
        Turns raw outputs into predictions.
    n_outputs : int
        Units of the output layer.
    """

    loss: Loss
    output_activation: Activation
    n_outputs: int

    @property
    def attributes(self) -> dict[str, Any]:
        """The fitted attributes that depend on y alone."""
        return {}

    def encode(self, y: Any, dtype: Any) -> np.ndarray:
        """y as the loss takes it.

        Returns
        -------
        ndarray of shape (n, outputs), or (n,) for integer labels

        Raises
        ------
        ValueError
            For values that the loss does not take.
        """
        raise NotImplementedError

    def check_held_out(self, y: Any) -> None:
        """ValueError if the y of validation rows does not match the y of training."""

    def warnings(self, y: Any) -> list[Warning]:
        """Warnings about y."""
        return []

    def weights(
        self, y: Any, sample_weight: np.ndarray | None, *, counted: Any = None
    ) -> np.ndarray | None:
        """The weight of each row.

        Parameters
        ----------
        y : ndarray or sparse matrix
        sample_weight : ndarray of shape (n,) or None
        counted : ndarray or sparse matrix, default=None
            The y in which the frequencies of classes are counted, if weights depend on them; None
            for y itself.

        Returns
        -------
        ndarray of shape (n,) or None
        """
        return sample_weight

    def strata(self, encoded: np.ndarray) -> np.ndarray | None:
        """The groups by which early stopping stratifies its split, or None for no strata."""
        return None

    def score(
        self, encoded: np.ndarray, predictions: np.ndarray, weight: np.ndarray | None
    ) -> float:
        """The score of the predictions on validation rows, unless ``scoring`` names another."""
        raise NotImplementedError


def dense(y: Any) -> Any:
    """y as an array, even if it is a sparse matrix."""
    return y.toarray() if hasattr(y, "toarray") else y
