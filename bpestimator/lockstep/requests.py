"""Requests: what is to be fitted, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True, eq=False)
class Data:
    """Rows that several fits share; what is one object is validated and sent to workers once.

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

    estimator : unfitted; it is left as it is, and a clone is fitted
    data : Data
    rows : ndarray of int, the rows to train on; None for all
    validation_rows : ndarray of int, the rows to validate on, or None
    sample_weight : array-like of one weight for each row of the data, or what else ``fit`` takes
    """

    estimator: Any
    data: Data
    rows: np.ndarray | None = None
    validation_rows: np.ndarray | None = None
    sample_weight: Any = None

    @property
    def n_rows(self) -> int:
        """How many rows are trained on, those that early stopping holds out included."""
        return self.data.n_rows if self.rows is None else len(self.rows)


class Fitted(NamedTuple):
    """A fit that has trained in lockstep with others.

    estimator : the fitted clone
    warnings : what its ``fit`` would have warned of
    seconds : its share of the time that its group took
    """

    estimator: Any
    warnings: list[Warning]
    seconds: float


class Alone(NamedTuple):
    """A fit that is to be made by ``fit``, as it cannot train in lockstep.

    reason : why
    """

    reason: str


def take(values: Any, rows: np.ndarray | None) -> Any:
    """Rows of an array, a sparse matrix, a frame or a list; all where ``rows`` is None."""
    if values is None or rows is None:
        return values
    if hasattr(values, "iloc"):
        return values.iloc[rows]
    if hasattr(values, "shape"):
        return values[rows]
    return [values[row] for row in rows]


def weight_of_rows(request: FitRequest) -> Any:
    """The sample weights of the rows to train on; what is no weight per row stays as it is."""
    weight = request.sample_weight
    per_row = hasattr(weight, "__len__") and len(weight) == request.data.n_rows
    return take(weight, request.rows) if per_row else weight
