"""Checks of the parameters of declared objects; and powers, computed one by one."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_range(owner: Any, name: str, low: float, high: float, ends: str = "[)") -> None:
    """TypeError unless the attribute is a number or several; ValueError outside the range.

    A NumPy number becomes Python's: with another dtype it would change the last bits of every step.
    """
    value = getattr(owner, name)
    if type(value) is float and low < value < high:
        return  # without NumPy, which takes as long as some steps of a small network
    if isinstance(value, (np.integer, np.floating)):
        value = value.item()
        object.__setattr__(owner, name, value)  # these objects are frozen once made
    if np.asarray(value).dtype.kind not in "iuf":
        raise TypeError(f"The {name} of {type(owner).__name__} must be a number. Got {value!r}.")
    above = np.greater_equal if ends[0] == "[" else np.greater
    below = np.less_equal if ends[1] == "]" else np.less
    if not np.all(above(value, low) & below(value, high)):
        allowed = f"{ends[0]}{low:g}, {high:g}{ends[1]}"
        raise ValueError(
            f"The {name} of {type(owner).__name__} must be in the range {allowed}. Got {value!r}."
        )


def check_functions(owner: Any, *names: str) -> None:
    """TypeError unless each of these attributes is a function."""
    for name in names:
        if not callable(value := getattr(owner, name)):
            raise TypeError(
                f"The {name} of {type(owner).__name__} must be a function. Got {value!r}."
            )


def check_flag(owner: Any, name: str) -> None:
    """TypeError unless the attribute is True or False."""
    if not isinstance(value := getattr(owner, name), (bool, np.bool_)):
        raise TypeError(
            f"The {name} of {type(owner).__name__} must be True or False. Got {value!r}."
        )


def power(base: Any, exponent: Any) -> Any:
    """base ** exponent, of arrays one by one: NumPy's vectorised power may round differently."""
    if np.ndim(base) or np.ndim(exponent):
        return np.vectorize(pow, otypes=[float])(base, exponent)
    return base**exponent
