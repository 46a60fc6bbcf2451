"""Weights: the weight of each row, from ``sample_weight`` and from ``class_weight``."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from bpestimator.estimators.targets.targets import dense


def check_weights(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    """Validate sample weights.

    Parameters
    ----------
    sample_weight : array-like of shape (n_rows,), float or None
        A number is the weight of every row.
    n_rows : int

    Returns
    -------
    ndarray of shape (n_rows,) or None

    Raises
    ------
    ValueError
        For another shape, entries that are not finite, or weights that are all 0.
    """
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Real):
        weights = np.full(n_rows, float(sample_weight))
    else:
        weights = check_array(
            sample_weight,
            ensure_2d=False,
            dtype=(np.float64, np.float32),
            order="C",
            input_name="sample_weight",
        )
    if weights.ndim != 1:
        raise ValueError(
            f"Sample weights must be 1D array or scalar, got {weights.ndim}D array. Expected "
            f"either a scalar value or a 1D array of length {n_rows}."
        )
    if weights.shape != (n_rows,):
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(n_rows,)}!")
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def class_weights(
    y: Any, class_weight: Any, classes: np.ndarray, counted: Any = None
) -> np.ndarray:
    """The weight of each row by its class.

    For multilabel y, it is the product over the labels, as in scikit-learn.

    Parameters
    ----------
    y : ndarray or sparse matrix
    class_weight : dict, list of dict, or 'balanced'
    classes : ndarray of shape (n_classes,)
    counted : ndarray or sparse matrix, default=None
        The y in which 'balanced' counts the classes; None for y itself.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        For a ``class_weight`` that does not match y.
    """
    multilabel = y.ndim == 2 and y.shape[1] > 1
    if isinstance(class_weight, str) and counted is not None:
        both = [dense(part) for part in (counted, y)]
        n_counted = len(both[0])
        weights = compute_sample_weight(
            class_weight, np.concatenate(both), indices=np.arange(n_counted)
        )
        return weights[n_counted:]
    if isinstance(class_weight, str):
        if multilabel:
            y = dense(y)
            return compute_sample_weight(class_weight, y)
        each = compute_class_weight(class_weight, classes=classes, y=y)
        return each[np.searchsorted(classes, y)]
    if multilabel != isinstance(class_weight, list):
        wanted = "a list of one dict per label" if multilabel else "a dict from label to weight"
        raise ValueError(f"class_weight must be 'balanced' or {wanted}. Got {class_weight!r}.")
    if multilabel:
        y = dense(y)
        if len(class_weight) != y.shape[1]:
            raise ValueError(
                f"class_weight has {len(class_weight)} dicts, but y has {y.shape[1]} labels. Pass "
                "one dict per label."
            )
        absent, present = ([one.get(k, 1.0) for one in class_weight] for k in (0, 1))
        return np.where(y != 0, present, absent).prod(axis=1)
    unknown = set(class_weight) - set(classes.tolist())
    # A dict may name more classes than y has, since a fold can lack one. But a dict that names an
    # unknown class and leaves out a known one is probably misspelt.
    if unknown and not set(classes.tolist()) <= set(class_weight):
        raise ValueError(
            f"class_weight has labels that are not among the classes: {sorted(unknown, key=str)}. "
            f"The classes are {classes.tolist()}: use these as keys."
        )
    each = np.array([class_weight.get(label, 1.0) for label in classes.tolist()], float)
    return each[np.searchsorted(classes, y)]


def check_class_weight_of_chunk(class_weight: Any) -> None:
    """ValueError for 'balanced', which ``partial_fit`` cannot compute from one chunk."""
    if isinstance(class_weight, str):
        raise ValueError(
            "class_weight='balanced' cannot be used with partial_fit: one chunk does not show "
            "how often a class occurs in all data. Pass a dict, for instance dict(zip(classes, "
            "sklearn.utils.class_weight.compute_class_weight('balanced', classes=classes, "
            "y=y_all)))."
        )


def combined(weight: np.ndarray | None, by_class: np.ndarray) -> np.ndarray:
    """The product of both weights; ValueError if it is 0 for every row."""
    product = by_class if weight is None else weight * by_class
    if not product.any():
        raise ValueError(
            "Every row has weight 0. Give at least one class of y a class_weight above 0, and its "
            "rows a sample_weight above 0."
        )
    return product
