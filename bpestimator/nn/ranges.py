"""Ranges: the numbers of a declared object, checked when it is made; and their powers."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_range(owner: Any, name: str, low: float, high: float, ends: str = "[)") -> None:
    """TypeError unless the owner has a number there, or several; ValueError outside the range."""
    value = getattr(owner, name)
    if np.asarray(value).dtype.kind not in "biuf":
        raise TypeError(f"The {name} of {type(owner).__name__} must be a number. Got {value!r}.")
    above = np.greater_equal if ends[0] == "[" else np.greater
    below = np.less_equal if ends[1] == "]" else np.less
    if not np.all(above(value, low) & below(value, high)):
        allowed = f"{ends[0]}{low:g}, {high:g}{ends[1]}"
        raise ValueError(
            f"The {name} of {type(owner).__name__} must be in the range {allowed}. Got {value!r}."
        )


def power(base: Any, exponent: Any) -> Any:
    """base ** exponent, of arrays one by one: NumPy's vectorised one may round otherwise."""
    if np.ndim(base) or np.ndim(exponent):
        return np.vectorize(pow, otypes=[float])(base, exponent)
    return base**exponent
