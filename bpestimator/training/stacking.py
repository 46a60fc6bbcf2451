"""Stacking: the hyperparameters of several models as one object, whose numbers are arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from numbers import Real
from typing import Any

import numpy as np


def stacked(values: Sequence[Any]) -> Any:
    """One value for all models: a number that differs becomes an array of shape (models, 1).

    Dataclasses and tuples are stacked field by field.

    Raises
    ------
    ValueError
        For anything else that differs.

    Examples
    --------
    >>> from bpestimator import Adam
    >>> stacked([Adam(beta_1=0.9), Adam(beta_1=0.5)])
    Adam(beta_1=array([[0.9],
           [0.5]]), beta_2=0.999, epsilon=1e-08)
    """
    first, kind = values[0], type(values[0])
    if all(_is_number(value) for value in values):
        same = all(value == first for value in values)
        return first if same else np.array([float(value) for value in values])[:, None]
    if any(type(value) is not kind for value in values):
        raise ValueError(f"Models in lockstep cannot differ in kind: {values!r}.")
    if all(value == first for value in values):
        return first
    if kind is tuple:
        return tuple(stacked(each) for each in zip(*values, strict=True))
    if is_dataclass(first) and not isinstance(first, type):
        by_field = {
            one.name: stacked([getattr(value, one.name) for value in values])
            for one in fields(first)
        }
        return kind(**by_field)
    raise ValueError(f"Models in lockstep cannot differ in this: {values!r}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))


def some_models(value: Any, which: Any, n_models: int) -> Any:
    """The hyperparameters of some of so many models, from those of all.

    Parameters
    ----------
    value : object
        As :func:`stacked` returns it.
    which : slice or ndarray of int
        Which models.
    n_models : int
        Of ``value``.
    """
    if isinstance(value, np.ndarray) and value.shape == (n_models, 1):
        return value[which]
    if isinstance(value, tuple):
        return tuple(some_models(each, which, n_models) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        by_field = {
            one.name: some_models(getattr(value, one.name), which, n_models)
            for one in fields(value)
        }
        return type(value)(**by_field)
    return value
