"""Threads: BLAS on one thread while products are small, on the user's number while large.

BLAS splits a product over threads long before it pays. On two idle cores, two threads make a
step with products of 1e6 multiplications no faster, of 1e7 1.3 times, of 1e8 1.7 times; but
with another process on the second core they make every one of them 1.5 to 2 times *slower*,
since each product ends when its slowest thread does, and on larger machines far worse was
seen. So threads are worth their risk from about 1e8 on.

The number of threads belongs to the process, not to a call. So calls are counted: the first
that wants one thread remembers the user's number, the last to leave restores it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from itertools import pairwise
from threading import RLock
from typing import Any

from threadpoolctl import OpenBLASController, ThreadpoolController

# rows x fan_in x fan_out of the largest product from which BLAS may use several threads.
THREADED_PRODUCT = 1e8
# Below, BLAS takes one thread of its own accord: there is nothing to limit.
SERIAL_PRODUCT = 3e4


@lru_cache(maxsize=1)
def _blas() -> Any:
    # Looking for the libraries takes 20 times as long as setting their threads.
    return ThreadpoolController().select(user_api="blas")


def _free_control() -> None:
    """Let any thread set OpenBLAS's threads.

    Since threadpoolctl 3.8 the first thread to set them keeps that right. But the first of
    several fits to begin need not be the last to end, which is the one that restores.
    """
    if hasattr(OpenBLASController, "clear_controlling_thread"):
        OpenBLASController.clear_controlling_thread(force=True)


class _Limit:
    """The limit to one thread: who is inside, and the user's numbers to restore."""

    def __init__(self) -> None:
        self.originals: list[int] | None = None
        self.forget()

    def forget(self) -> None:
        # A forked child has none of the calls under way, but the numbers to restore after its
        # own.
        self.lock, self.inside = RLock(), set[int]()

    def enter(self, who: int) -> None:
        with self.lock:
            self.inside.add(who)
            if self.originals is None:
                self.originals = [library["num_threads"] for library in _blas().info()]
                _free_control()
                _blas().limit(limits=1)
                _free_control()

    def leave(self, who: int) -> None:
        with self.lock:
            self.inside.discard(who)
            if self.inside or self.originals is None:
                return
            _free_control()
            for library, number in zip(_blas().lib_controllers, self.originals, strict=True):
                if library.get_num_threads() == 1:  # else the user has changed it meanwhile
                    library.set_num_threads(number)
            _free_control()
            self.originals = None


_limit = _Limit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_limit.forget)


class _OneThread:
    """``with`` this, BLAS runs on one thread.

    Should Ctrl-C come between the lines here, the end of the object makes up for it: leaving
    twice does no harm.
    """

    def __enter__(self) -> None:
        _limit.enter(id(self))

    def __exit__(self, *error: object) -> None:
        _limit.leave(id(self))

    def __del__(self) -> None:
        _limit.leave(id(self))


def largest_product(sizes: Sequence[int], rows: int) -> int:
    """Multiplications in the largest product of a network on that many rows."""
    return rows * max(fan_in * fan_out for fan_in, fan_out in pairwise(sizes))


def blas_threads(product: float) -> AbstractContextManager[None]:
    """A context with as many BLAS threads as suit products of that many multiplications."""
    if SERIAL_PRODUCT <= product < THREADED_PRODUCT:
        return _OneThread()
    return nullcontext()


def blas_threads_of_user() -> int:
    """How many threads the user lets BLAS have, whatever is limited just now."""
    with _limit.lock:
        if _limit.originals is not None:
            return max(_limit.originals, default=1)
        return max((library["num_threads"] for library in _blas().info()), default=1)
