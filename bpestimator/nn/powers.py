"""Powers of a few numbers, whose bits do not depend on how many are computed together."""

from __future__ import annotations

from typing import Any

import numpy as np


def exact_power(base: Any, exponent: Any) -> Any:
    """base ** exponent, of arrays one by one: NumPy's vectorised power may round differently.

    It returns a value, and is not recorded: for numbers such as rates, not for a batch's units.
    """
    if np.ndim(base) or np.ndim(exponent):
        return np.vectorize(pow, otypes=[float])(base, exponent)
    return base**exponent
