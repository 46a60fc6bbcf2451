"""Tape: a step, written down once as a list of calls on arrays that stay where they are.

Training a small network is some forty NumPy calls a step, each of half a microsecond or
little more; finding their arguments anew every time would cost a quarter on top. So the
functions that spell out the maths *yield* their calls, with the arrays they work on. Played
at once, that is a computation; kept as a list, it is a step to play for every batch.

>>> from numpy import add, multiply
>>> z = np.array([1.0, 2.0])
>>> def twice_plus_one(z):
...     yield call(multiply, z, 2.0, z)
...     yield call(add, z, 1.0, z)
>>> play(twice_plus_one(z))
>>> z
array([3., 5.])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial as call
from typing import Any

import numpy as np

Call = Callable[[], Any]
Calls = Iterator[Call]


def play(calls: Iterable[Call]) -> None:
    """Make every call, in order."""
    for each in calls:
        each()


def constant(value: Any, dtype: Any) -> Any:
    """A number as an array: it neither widens float32 nor needs converting at every call."""
    return np.asarray(value, dtype)


# Called with positional out, which is faster but unknown to NumPy's type hints.
reduce_sum: Any = np.add.reduce
reduce_max: Any = np.maximum.reduce

__all__ = ["Call", "Calls", "call", "constant", "play", "reduce_max", "reduce_sum"]
