"""Requests: the fits that a caller asks for, and their results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True, eq=False)
class Data:
    """Data that several fits share: validated once, and sent once to each worker.

    Attributes
    ----------
    X, y : array-like
        As ``fit`` takes them.
    """

    X: Any
    y: Any

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return int(self.X.shape[0]) if hasattr(self.X, "shape") else len(self.X)


class FitRequest(NamedTuple):
    """One fit: ``estimator.fit(X[rows], y[rows], sample_weight[rows], X_val=...)``.

    estimator : not changed: a clone is fitted
    data : Data
    rows : ndarray of int, the rows to train on; None for all
    validation_rows : ndarray of int, the rows to validate on, or None
    sample_weight : array-like with a weight for each row of the data, a number, or None
    """

    estimator: Any
    data: Data
    rows: np.ndarray | None = None
    validation_rows: np.ndarray | None = None
    sample_weight: Any = None

    @property
    def n_rows(self) -> int:
        """The number of rows to train on, before early stopping holds some out."""
        return self.data.n_rows if self.rows is None else len(self.rows)


class Fitted(NamedTuple):
    """The result of a fit in lockstep.

    estimator : the fitted clone
    warnings : the warnings that its own ``fit`` would have issued
    seconds : the training time of its group, divided by the number of fits
    """

    estimator: Any
    warnings: list[Warning]
    seconds: float


class Alone(NamedTuple):
    """The result of a request that cannot train in lockstep: the caller must call ``fit``.

    reason : why it cannot
    """

    reason: str


def take(values: Any, rows: np.ndarray | None) -> Any:
    """Some rows of an array, a sparse matrix, a frame or a list; all if ``rows`` is None."""
    if values is None or rows is None:
        return values
    if hasattr(values, "iloc"):
        return values.iloc[rows]
    if hasattr(values, "shape"):
        return values[rows]
    return [values[row] for row in rows]


def weight_of_rows(request: FitRequest) -> Any:
    """The sample weights of the rows to train on. A value without one weight per row is kept."""
    weight = request.sample_weight
    per_row = hasattr(weight, "__len__") and len(weight) == request.data.n_rows
    return take(weight, request.rows) if per_row else weight
