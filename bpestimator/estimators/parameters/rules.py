"""Rules: what a parameter may be, and how to say so."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import inf, isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer_names


def is_list(value: Any) -> bool:
    """Whether a value is several in a row, which an array of no dimension is not."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Collection) and not isinstance(value, (str, bytes, Mapping))


def _is_flag(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


class Rule:
    """What a parameter may be; ``str`` of it completes "must be ..."."""

    @property
    def words(self) -> tuple[str, ...]:
        """The words that are allowed."""
        return ()

    def allows(self, value: Any) -> bool:
        """Whether a value keeps the rule."""
        raise NotImplementedError


@dataclass(frozen=True)
class Number(Rule):
    """A number of one kind in an interval; infinity only where it is among ``also``."""

    kind: Any
    low: float
    high: float = inf
    closed: str = "left"
    also: tuple[Any, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(choice for choice in self.also if isinstance(choice, str))

    def allows(self, value: Any) -> bool:
        if (value is None or isinstance(value, (str, Real))) and value in self.also:
            return True
        if not isinstance(value, self.kind) or not isfinite(value):
            return False
        above = value >= self.low if self.closed in ("left", "both") else value > self.low
        below = value <= self.high if self.closed in ("right", "both") else value < self.high
        return bool(above and below)

    def __str__(self) -> str:
        kind = "an int" if self.kind is Integral else "a float"
        left = "[" if self.closed in ("left", "both") else "("
        right = "]" if self.closed in ("right", "both") else ")"
        also = "".join(f" or {choice!r}" for choice in self.also)
        return f"{kind} in the range {left}{self.low:g}, {self.high:g}{right}{also}"


@dataclass(frozen=True)
class Choice(Rule):
    """One of some words."""

    names: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        return self.names

    def allows(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.names

    def __str__(self) -> str:
        return f"one of {', '.join(map(repr, sorted(self.words)))}"


@dataclass(frozen=True)
class Flag(Rule):
    """True or False."""

    def allows(self, value: Any) -> bool:
        return _is_flag(value)

    def __str__(self) -> str:
        return "True or False"


@dataclass(frozen=True)
class Verbosity(Rule):
    """True, False, or a level."""

    def allows(self, value: Any) -> bool:
        return _is_flag(value) or (isinstance(value, Integral) and int(value) >= 0)

    def __str__(self) -> str:
        return "True, False, or an int of at least 0"


@dataclass(frozen=True)
class RandomSource(Rule):
    """What ``sklearn.utils.check_random_state`` takes."""

    def allows(self, value: Any) -> bool:
        if value is None or isinstance(value, np.random.RandomState):
            return True
        return Number(Integral, 0, 2**32).allows(value)

    def __str__(self) -> str:
        return "None, an int in the range [0, 2**32), or a numpy RandomState"


@dataclass(frozen=True)
class LayerSizes(Rule):
    """A number of units, or one per hidden layer."""

    def allows(self, value: Any) -> bool:
        one = Number(Integral, 1)
        if is_list(value):
            return all(one.allows(size) for size in value)
        return one.allows(value)

    def __str__(self) -> str:
        return (
            "an int or a sequence of ints, one per hidden layer, every one > 0; "
            "() for no hidden layer"
        )


@dataclass(frozen=True)
class Scoring(Rule):
    """A scorer of scikit-learn, or the loss."""

    @property
    def words(self) -> tuple[str, ...]:
        return ("loss", *get_scorer_names())

    def allows(self, value: Any) -> bool:
        return value is None or callable(value) or (isinstance(value, str) and value in self.words)

    def __str__(self) -> str:
        return (
            "None, 'loss', a name among sklearn.metrics.get_scorer_names() such as "
            "'balanced_accuracy' or 'r2', or a callable (estimator, X, y) -> float"
        )


@dataclass(frozen=True)
class DropoutRates(Rule):
    """A rate, or a list of them."""

    def allows(self, value: Any) -> bool:
        one = Number(Real, 0, 1)
        if is_list(value):
            return all(one.allows(rate) for rate in value)
        return one.allows(value)

    def __str__(self) -> str:
        return (
            "a float in the range [0, 1), or a list of such, one per hidden layer, which may have "
            "one more at its front for the features"
        )


@dataclass(frozen=True)
class Declared(Rule):
    """A name, a declared object, or, where ``per_layer``, a list of these.

    Where some objects of a kind are not suitable, ``refused`` holds their types. ``own`` says how
    to write a function of one's own, ``number`` whether a constant is allowed in place of an
    object.
    """

    names: tuple[str, ...]
    kind: type
    example: str
    own: str = ""
    per_layer: bool = False
    refused: tuple[type, ...] = ()
    number: Number | None = None

    @property
    def words(self) -> tuple[str, ...]:
        return self.names

    def allows(self, value: Any) -> bool:
        if self.number is not None and not _is_flag(value) and self.number.allows(value):
            return True
        if self.per_layer and isinstance(value, (list, tuple)):
            return all(self._is_one(one) for one in value)
        return self._is_one(value)

    def _is_one(self, value: Any) -> bool:
        if isinstance(value, str):
            return value in self.words
        # An instance of the base class declares what its subclasses define.
        is_declared = isinstance(value, self.kind) and type(value) is not self.kind
        return is_declared and not isinstance(value, self.refused)

    def __str__(self) -> str:
        names = ", ".join(map(repr, sorted(self.words)))
        lists = ", or a list of these, one per hidden layer" if self.per_layer else ""
        last = "" if self.per_layer else "or "
        article = "an" if self.kind.__name__[0] in "AEIOU" else "a"
        kind = f"{article} {self.kind.__name__} such as {self.example}"
        number = "" if self.number is None else f"{self.number} (a constant rate) or "
        return f"{number}one of {names}, {last}{kind}{lists}"


@dataclass(frozen=True)
class ClassWeight(Rule):
    """How much each class counts."""

    @property
    def words(self) -> tuple[str, ...]:
        return ("balanced",)

    def allows(self, value: Any) -> bool:
        if isinstance(value, list):
            return all(isinstance(one, Mapping) and self._all_count(one) for one in value)
        if isinstance(value, Mapping):
            return self._all_count(value)
        return value is None or (isinstance(value, str) and value in self.words)

    def _all_count(self, weights: Mapping[Any, Any]) -> bool:
        return all(Number(Real, 0).allows(weight) for weight in weights.values())

    def __str__(self) -> str:
        return (
            "None, 'balanced', a dict from label to a weight of at least 0, or for multilabel y "
            "a list of such dicts"
        )
