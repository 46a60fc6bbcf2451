"""Recording: run a call now and, while a recording is open, write it down to be played later.

Training a small network makes some forty NumPy calls a step, each of half a microsecond or a
little more; to find their arguments anew at every step would cost a quarter on top. So a step
is recorded the first time it is computed, and played from then on, on the same arrays.

The functions below are NumPy's and scipy's own. They write into one of their arguments and
return nothing, since a value returned once would be out of date when the calls are played. Whatever
is computed without them, in plain NumPy or Python, is frozen at its first value: it may depend on
shapes, dtypes and settings, never on the numbers in an array.

To have every step computed anew, in a debugger say, set ``Computation.replays = False``.

>>> z = np.array([1.0, 2.0])
>>> with recording() as calls:
...     multiply(z, 2.0, z)
...     add(z, 1.0, z)
>>> z
array([3., 5.])
>>> play(calls)
>>> z
array([ 7., 11.])
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import numpy as np
import scipy.special

Call = Callable[[], Any]


class _Here(threading.local):
    """What is being recorded in this thread: a list of calls, or None."""

    calls: list[Call] | None = None


_here = _Here()


@contextmanager
def recording() -> Iterator[list[Call]]:
    """Write down, in a new list, the calls that this thread makes in the block.

    Raises
    ------
    RuntimeError
        If this thread is recording already.
    """
    if _here.calls is not None:
        raise RuntimeError("A recording is open in this thread: end it before the next one.")
    calls: list[Call] = []
    _here.calls = calls
    try:
        yield calls
    finally:
        _here.calls = None


def play(calls: Iterable[Call]) -> None:
    """Make every call, in order: for a list of one's own, where no :class:`Computation` fits."""
    for each in calls:
        each()


class Computation:
    """A computation to repeat: recorded the first time, played from then on.

    Parameters
    ----------
    function : callable
        What to compute, of the arguments that follow; all its calls are recorded ones.
    repeats : bool, default=True
        Whether it will be computed more than once: else there is nothing to record.

    Attributes
    ----------
    calls : list of callable, or None
        The recorded calls; None before there are any.
    replays : bool
        Set it to False on the class to have everything computed anew each time, for a debugger.
    """

    replays: ClassVar[bool] = True

    def __init__(self, function: Callable[..., None], *args: Any, repeats: bool = True) -> None:
        self._compute: Call | None = partial(function, *args)
        self._repeats = repeats
        self.calls: list[Call] | None = None

    def __call__(self) -> None:
        if self.calls is not None:
            play(self.calls)
            return
        assert self._compute is not None
        if not (self.replays and self._repeats):
            self._compute()
            return
        with recording() as calls:
            self._compute()
        # ``_compute`` may refer back to this object: such a cycle would keep all buffers in memory.
        self.calls, self._compute = calls, None


def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Call a function; in a recording it counts as one call, whatever it calls in turn."""
    calls = _here.calls
    if calls is None:
        function(*args, **kwargs)
        return
    calls.append(partial(function, *args, **kwargs))
    _here.calls = None
    try:
        function(*args, **kwargs)
    finally:
        _here.calls = calls


def recorded(function: Any) -> Callable[..., None]:
    """Like ``partial(call, function)``, for a function that itself calls no recorded function.

    Costs half as much.
    """
    here = _here

    def wrapper(*args: Any, **kwargs: Any) -> None:
        if here.calls is not None:
            here.calls.append(partial(function, *args, **kwargs))
        function(*args, **kwargs)

    wrapper.__name__ = wrapper.__qualname__ = function.__name__
    return wrapper


def constant(value: Any, dtype: Any) -> Any:
    """A number as an array: it neither widens float32 nor needs converting at every call."""
    return np.asarray(value, dtype)


# Say where to write by position, as keywords cost time in every step; but for maximum and minimum
# write ``out=``, as NumPy deprecates a third positional argument of theirs. accumulate takes
# (array, axis, dtype, out), reduce_max and reduce_sum (array, axis, dtype, out, keepdims).
absolute = recorded(np.absolute)
accumulate = recorded(np.add.accumulate)
add = recorded(np.add)
copyto = recorded(np.copyto)
divide = recorded(np.divide)
dot = recorded(np.ndarray.dot)  # the method: np.dot takes a third longer to call
exp = recorded(np.exp)
expit = recorded(scipy.special.expit)
expm1 = recorded(np.expm1)
greater = recorded(np.greater)
greater_equal = recorded(np.greater_equal)
log = recorded(np.log)
logaddexp = recorded(np.logaddexp)
matmul = recorded(np.matmul)
maximum = recorded(np.maximum)
minimum = recorded(np.minimum)
multiply = recorded(np.multiply)
ndtr = recorded(scipy.special.ndtr)
negative = recorded(np.negative)
power = recorded(np.power)
reduce_max = recorded(np.maximum.reduce)
reduce_sum = recorded(np.add.reduce)
sign = recorded(np.sign)
sqrt = recorded(np.sqrt)
subtract = recorded(np.subtract)
tanh = recorded(np.tanh)
