"""Schedules: how the learning rate changes while a network learns.

A schedule is a pure function of the clock, so it needs no memory and can be drawn. One
schedule reacts instead: "adaptive" is constant until learning stalls, and then asks the
stopping rule to shrink the rate rather than to stop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple


class Clock(NamedTuple):
    """How far training has come.

    epoch : epochs since the optimizer began (it begins anew with each ``fit``)
    samples : rows seen by this model in its life, ``t_``
    """

    epoch: int = 0
    samples: int = 0


@dataclass(frozen=True)
class Schedule:
    """The learning rate of the coming epoch.

    Attributes
    ----------
    name : str
        What users write, e.g. ``learning_rate="invscaling"``.
    shrink_by : float or None
        What to divide the rate by when learning stalls; None means stop then.
    smallest : float
        At or below this rate a stall means stop all the same.
    """

    name: ClassVar[str]
    shrink_by: ClassVar[float | None] = None
    smallest: ClassVar[float] = 0.0

    def rate(self, initial: Any, clock: Clock) -> Any:
        """The rate for the epoch that starts at ``clock``.

        Parameters
        ----------
        initial : float, or ndarray of shape lead + (1,)
            ``learning_rate_init``, shrunk by the stalls so far.
        clock : Clock
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Schedule):
    """rate = initial."""

    name = "constant"

    def rate(self, initial: Any, clock: Clock) -> Any:
        return initial


@dataclass(frozen=True)
class InvScaling(Schedule):
    """rate = initial / (samples + 1)^power_t, and ``initial`` in an optimizer's first epoch.

    Parameters
    ----------
    power_t : float, default=0.5
        At least 0.
    """

    power_t: Any = 0.5

    name = "invscaling"

    def rate(self, initial: Any, clock: Clock) -> Any:
        if clock.epoch == 0:
            return initial
        return initial / (clock.samples + 1) ** self.power_t


@dataclass(frozen=True)
class Adaptive(Schedule):
    """rate = initial, divided by 5 at each stall, down to 1e-6."""

    name = "adaptive"
    shrink_by = 5.0
    smallest = 1e-6

    def rate(self, initial: Any, clock: Clock) -> Any:
        return initial


SCHEDULES: Mapping[str, type[Schedule]] = {
    kind.name: kind for kind in (Constant, InvScaling, Adaptive)
}
