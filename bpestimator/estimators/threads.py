"""Threads: limit BLAS to one thread while the products of a network are small.

BLAS splits a product over several threads although small products do not gain from it. On two idle
cores, two threads make a step with products of 1e6 multiplications no faster, of 1e7 1.3 times as
fast, and of 1e8 1.7 times. If another process uses the second core, two threads make each of these
steps 1.5 to 2 times *slower*, since a product ends when its slowest thread does. On machines with
more cores, the loss can be larger. So networks with products below 1e8 use one thread.

The number of threads is a setting of the process, which concurrent calls share. The first call that
needs the limit stores the user's setting, and the last of them to end restores it.
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

# From this many multiplications (rows x fan_in x fan_out), threads gain more than they risk: see
# the measurements above.
THREADED_PRODUCT = 1e8
# Below this many, BLAS uses one thread anyway, so that a limit would only cost time.
SERIAL_PRODUCT = 3e4


@lru_cache(maxsize=1)
def _blas() -> Any:
    # Cached: to find the libraries takes 20 times as long as to set their threads.
    return ThreadpoolController().select(user_api="blas")


def _free_control() -> None:
    """Let any Python thread set the number of OpenBLAS's threads.

    Since threadpoolctl 3.8, only the first Python thread that set the number may set it again.
    But the fit that sets the limit and the fit that removes it may run in different threads.
    """
    if hasattr(OpenBLASController, "clear_controlling_thread"):
        OpenBLASController.clear_controlling_thread(force=True)


class _Limit:
    """The limit to one thread: which objects hold it, and the user's settings to restore."""

    def __init__(self) -> None:
        self.originals: list[int] | None = None
        self.forget()

    def forget(self) -> None:
        # A forked child runs none of its parent's calls, but it inherits the limit, and so must
        # keep the settings to restore.
        self.lock, self.holders = RLock(), set[int]()

    def enter(self, holder: int) -> None:
        with self.lock:
            self.holders.add(holder)
            if self.originals is None:
                self.originals = [library["num_threads"] for library in _blas().info()]
                _free_control()
                _blas().limit(limits=1)
                _free_control()

    def leave(self, holder: int) -> None:
        with self.lock:
            self.holders.discard(holder)
            if self.holders or self.originals is None:
                return
            _free_control()
            for library, number in zip(_blas().lib_controllers, self.originals, strict=True):
                if library.get_num_threads() == 1:  # otherwise the user has changed it since
                    library.set_num_threads(number)
            _free_control()
            self.originals = None


_limit = _Limit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_limit.forget)


class _OneThread:
    """A context in which BLAS runs on one thread.

    If Ctrl-C skips ``__exit__``, ``__del__`` removes the limit. To remove it twice does no harm.
    """

    def __enter__(self) -> None:
        _limit.enter(id(self))

    def __exit__(self, *error: object) -> None:
        _limit.leave(id(self))

    def __del__(self) -> None:
        _limit.leave(id(self))


def largest_product(sizes: Sequence[int], rows: int) -> int:
    """Multiplications in the largest matrix product of a network with these layer sizes."""
    return rows * max(fan_in * fan_out for fan_in, fan_out in pairwise(sizes))


def blas_threads(product: float) -> AbstractContextManager[None]:
    """A context that limits BLAS to one thread, if a product of that size gains from it.

    Parameters
    ----------
    product : float
        Multiplications in the largest product, as :func:`largest_product` counts them.
    """
    if SERIAL_PRODUCT <= product < THREADED_PRODUCT:
        return _OneThread()
    return nullcontext()


def blas_threads_of_user() -> int:
    """The number of BLAS threads that the user has set, even while the limit holds."""
    with _limit.lock:
        if _limit.originals is not None:
            return max(_limit.originals, default=1)
        return max((library["num_threads"] for library in _blas().info()), default=1)
