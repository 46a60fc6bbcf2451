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


@dataclass(frozen=True, eq=False)
class FitRequest:
    """One fit: ``estimator.fit(X[rows], y[rows], sample_weight[rows], X_val=...)``.

    Attributes
    ----------
    estimator : object
        Not changed: a clone is fitted.
    data : Data
    rows : array-like of int, or a mask, default=None
        The rows to train on; None for all. Requests with the same array share their preparation.
    validation_rows : array-like of int, or a mask, default=None
        The rows to validate on, with their ``sample_weight``.
    sample_weight : array-like, float or None, default=None
        A weight for each row of the data, or one for all.

    Raises
    ------
    IndexError
        For a row that the data does not have.
    TypeError
        For rows that are neither whole numbers nor a mask.
    """

    estimator: Any
    data: Data
    rows: Any = None
    validation_rows: Any = None
    sample_weight: Any = None

    def __post_init__(self) -> None:
        for name in ("rows", "validation_rows"):
            if (rows := getattr(self, name)) is not None:
                object.__setattr__(self, name, row_numbers(rows, self.data.n_rows))

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


def row_numbers(rows: Any, n_rows: int) -> np.ndarray:
    """Rows by number, from numbers, which may count from the end, or from a mask.

    Raises
    ------
    IndexError
        For a number outside the range [-n_rows, n_rows), or a mask of another length.
    TypeError
        For anything else.
    """
    numbers = np.asarray(rows)
    if numbers.size == 0:
        numbers = numbers.astype(int)
    if numbers.dtype.kind not in "biu" or numbers.ndim != 1:
        raise TypeError(
            f"Rows must be whole numbers, or a mask with an entry for each row. Got {rows!r:.60}."
        )
    if numbers.dtype.kind == "b":
        if numbers.size != n_rows:
            raise IndexError(f"A mask must have {n_rows} entries. Got {numbers.size}.")
        return np.flatnonzero(numbers)
    lowest, highest = numbers.min(initial=0), numbers.max(initial=0)
    if lowest < -n_rows or highest >= n_rows:
        wrong = lowest if lowest < -n_rows else highest
        raise IndexError(f"Rows must be in the range [{-n_rows}, {n_rows}). Got {wrong}.")
    return np.where(numbers < 0, numbers + n_rows, numbers) if lowest < 0 else numbers


def take(values: Any, rows: np.ndarray | None) -> Any:
    """Some rows of an array, a sparse matrix, a frame or a list; all if ``rows`` is None."""
    if values is None or rows is None:
        return values
    if hasattr(values, "iloc"):
        return values.iloc[rows]
    if hasattr(values, "shape"):
        return values[rows]
    return [values[row] for row in rows]


def weight_of_rows(request: FitRequest, rows: np.ndarray | None) -> Any:
    """The sample weights of some rows. A value without one weight per row is kept."""
    weight = request.sample_weight
    per_row = hasattr(weight, "__len__") and len(weight) == request.data.n_rows
    return take(weight, rows) if per_row else weight
