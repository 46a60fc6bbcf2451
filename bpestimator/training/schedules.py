"""Schedules: the learning rate as a function of the clock.

A schedule is a pure function: it has no state, and it can be drawn. "adaptive" is constant, too;
where the loss stalls, the stopping rule divides its rate rather than stop training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import cos, inf, log2, pi
from typing import Any, ClassVar, NamedTuple

import numpy as np

from bpestimator.nn.checks import check_range, power
from bpestimator.nn.declared import Declared


class Clock(NamedTuple):
    """How far training has come.

    epoch : epochs since the optimizer's state was new, which it is in each ``fit``; with fractions
        for schedules that change the rate with every step
    samples : rows that the model has been trained on, ``t_``; of models whose numbers of rows
        differ an array of shape lead + (1,)
    span : epochs for which the rate will hold: 1, or one divided by the steps of an epoch
    horizon : epochs until training ends; infinite where that is unknown
    """

    epoch: float = 0
    samples: Any = 0
    span: float = 1.0
    horizon: float = inf

    def at(self, step: int, n_steps: int) -> Clock:
        """The clock before a step of the epoch that starts now."""
        return self._replace(epoch=self.epoch + step / n_steps, span=1 / n_steps)

    def after(self, n_rows: Any) -> Clock:
        """The clock an epoch later; n_rows is an int, or an array of shape lead + (1,)."""
        return Clock(self.epoch + 1, self.samples + n_rows, self.span, self.horizon)

    def of_models(self, which: Any) -> Clock:
        """The clock of some models, by their places along ``lead``."""
        if np.ndim(self.samples) == 0:
            return self
        return self._replace(samples=self.samples[which])


@dataclass(frozen=True)
class Schedule(Declared):
    """The learning rate of the coming epoch, or of the coming step.

    Attributes
    ----------
    name : str
        What users write, e.g. ``learning_rate="invscaling"``.
    shrink_by : float or None
        The divisor of the rate when the loss stalls; None to stop then.
    smallest : float
        At or below this rate, a stall stops training all the same.
    needs_horizon : bool
        Whether the rate depends on the clock's horizon, which ``partial_fit`` does not know.
    cycles : bool
        Whether the rate falls to almost 0 several times, so that a stall must not stop training.
    per_step : bool
        Whether the rate changes with every step rather than with every epoch.
    decays_with_samples : bool
        Whether the rate falls with the number of rows trained on.
    is_elementwise : bool
        Whether the fields may be arrays of shape lead + (1,), one value per model. Models that
        differ in them may then train as one array. Inherited by no subclass.
    from_parameters : dict of str
        For a schedule chosen by name: each parameter of the estimator that sets one of the
        fields, and that field.
    """

    name: ClassVar[str]
    shrink_by: ClassVar[float | None] = None
    smallest: ClassVar[float] = 0.0
    needs_horizon: ClassVar[bool] = False
    cycles: ClassVar[bool] = False
    per_step: ClassVar[bool] = False
    decays_with_samples: ClassVar[bool] = False
    is_elementwise: ClassVar[bool] = False
    from_parameters: ClassVar[Mapping[str, str]] = {}

    def rate(self, initial: Any, clock: Clock) -> Any:
        """The rate for the epoch, or the step, that starts at ``clock``.

        Parameters
        ----------
        initial : float, or ndarray of shape lead + (1,)
            ``learning_rate_init``, divided at each stall so far.
        clock : Clock
        """
        raise self.must_define("rate")

    def check_length(self, epochs: int, name: str = "max_iter") -> None:
        """ValueError if a run of so many epochs, the value of parameter ``name``, is too short."""

    def rates(self, initial: float, epochs: int, steps: int = 1, rows: int = 0) -> Any:
        """The rates of a whole run, to print or to draw.

        Parameters
        ----------
        initial : float
        epochs : int
        steps : int, default=1
            Steps of an epoch.
        rows : int, default=0
            Rows of an epoch, on which the rate of "invscaling" depends.

        Returns
        -------
        ndarray of shape (epochs * steps,)

        Raises
        ------
        ValueError
            If training would end before the warm-up.

        Examples
        --------
        >>> Exponential(0.5).rates(1.0, epochs=4)
        array([1.   , 0.5  , 0.25 , 0.125])
        """
        self.check_length(epochs, "epochs")
        clocks = (
            Clock(
                epoch=step / steps if self.per_step else step // steps,
                samples=step // steps * rows,
                span=1 / steps,
                horizon=epochs,
            )
            for step in range(epochs * steps)
        )
        return np.array([self.rate(initial, clock) for clock in clocks])


@dataclass(frozen=True)
class Constant(Schedule):
    """rate = initial."""

    name = "constant"
    is_elementwise = True

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
    decays_with_samples = True
    is_elementwise = True
    from_parameters: ClassVar[Mapping[str, str]] = {"power_t": "power_t"}

    def __post_init__(self) -> None:
        check_range(self, "power_t", 0, inf)

    def rate(self, initial: Any, clock: Clock) -> Any:
        if clock.epoch == 0:
            return initial
        return initial / power(clock.samples + 1, self.power_t)


@dataclass(frozen=True)
class Adaptive(Schedule):
    """rate = initial, divided by 5 at each stall, down to 1e-6."""

    name = "adaptive"
    shrink_by = 5.0
    smallest = 1e-6

    def rate(self, initial: Any, clock: Clock) -> Any:
        return initial


@dataclass(frozen=True)
class Warmed(Schedule):
    """A schedule with a linear warm-up.

    The rate rises linearly over the first epochs; then the schedule's own curve begins. The rate
    changes with every step.

    Parameters
    ----------
    warmup : float, default=0.0
        Epochs of the warm-up, at least 0 and fewer than those of the run.
    """

    warmup: float = field(default=0.0, kw_only=True)

    per_step = True

    def __post_init__(self) -> None:
        check_range(self, "warmup", 0, inf)

    def check_length(self, epochs: int, name: str = "max_iter") -> None:
        if self.warmup and self.warmup >= epochs:
            raise ValueError(f"The warmup of {self!r} must be shorter than {name}={epochs} epochs.")

    def rate(self, initial: Any, clock: Clock) -> Any:
        if clock.epoch < self.warmup:
            return initial * min(1.0, (clock.epoch + clock.span) / self.warmup)
        return initial * self.factor(clock.epoch - self.warmup, clock.horizon - self.warmup)

    def factor(self, epoch: float, horizon: float) -> float:
        """The factor of the initial rate, ``epoch`` epochs after the warm-up."""
        raise self.must_define("factor")


@dataclass(frozen=True)
class Exponential(Warmed):
    """rate = initial decay^epoch.

    Parameters
    ----------
    decay : float, default=0.95
        In (0, 1].
    warmup : float, default=0.0
    """

    decay: float = 0.95

    name = "exponential"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "decay", 0, 1, "(]")

    def factor(self, epoch: float, horizon: float) -> float:
        return float(self.decay**epoch)


@dataclass(frozen=True)
class Cosine(Warmed):
    """rate = initial (final + (1 - final) (1 + cos(pi t)) / 2), t from 0 to 1.

    t : share of the epochs that has passed.

    Source: Loshchilov and Hutter, ICLR 2017 (arXiv 1608.03983), eq. 5, without restarts.

    Parameters
    ----------
    final : float, default=0.0
        Where the rate ends, as a share of the initial one; in [0, 1].
    warmup : float, default=0.0
    """

    final: float = 0.0

    name = "cosine"
    needs_horizon = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "final", 0, 1, "[]")

    def factor(self, epoch: float, horizon: float) -> float:
        return _between(1.0, self.final, epoch / horizon)


@dataclass(frozen=True)
class OneCycle(Warmed):
    """Up to the initial rate and down again, each along half a cosine.

    From ``start`` times the initial rate at t = 0 to the initial rate at t = ``peak``, then down to
    ``final`` times it at t = 1;  t : share of the epochs that has passed.

    Source: Smith and Topin, 2017 (arXiv 1708.07120), section 3.

    Parameters
    ----------
    peak : float, default=0.3
        In (0, 1).
    start : float, default=0.04
        In [0, 1].
    final : float, default=0.0
        In [0, 1].
    warmup : float, default=0.0
    """

    peak: float = 0.3
    start: float = 0.04
    final: float = 0.0

    name = "one_cycle"
    needs_horizon = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "peak", 0, 1, "()")
        check_range(self, "start", 0, 1, "[]")
        check_range(self, "final", 0, 1, "[]")

    def factor(self, epoch: float, horizon: float) -> float:
        t = epoch / horizon
        if t < self.peak:
            return _between(self.start, 1.0, t / self.peak)
        return _between(1.0, self.final, (t - self.peak) / (1 - self.peak))


@dataclass(frozen=True)
class CosLog4(Warmed):
    """rate = initial (1 - cos(2 pi log2(1 + 15 t))) / 2: four cycles, each twice as long.

    t : share of the epochs that has passed; the rate is 0 at t = 0, 1/15, 3/15, 7/15 and 1.
    The loss stalls there by design, so ``n_iter_no_change`` does not stop training.

    Source: Holzmüller, Grinsztajn and Steinwart, NeurIPS 2024 (arXiv 2407.04491), section 3.

    Parameters
    ----------
    warmup : float, default=0.0
    """

    name = "coslog4"
    needs_horizon = True
    cycles = True

    def factor(self, epoch: float, horizon: float) -> float:
        return 0.5 * (1 - cos(2 * pi * log2(1 + 15 * min(1.0, epoch / horizon))))


def _between(first: float, last: float, t: float) -> float:
    """From ``first`` at t = 0 to ``last`` at t = 1, along half a cosine."""
    return last + (first - last) * 0.5 * (1 + cos(pi * min(1.0, t)))


SCHEDULES: Mapping[str, type[Schedule]] = {
    kind.name: kind
    for kind in (Constant, InvScaling, Adaptive, Exponential, Cosine, OneCycle, CosLog4)
}
