"""Rules: which values a parameter may have, and the words for it in error messages."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import inf, isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer_names


def is_list(value: Any) -> bool:
    """Whether a value is a list, another collection, or an array of at least one dimension.

    Strings and mappings are not lists.
    """
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Collection) and not isinstance(value, (str, bytes, Mapping))


def _is_flag(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


def _is_finite(value: Any) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # an int beyond all floats
        return False


class Rule:
    """Which values a parameter may have. ``str(rule)`` completes the sentence "must be ..."."""

    @property
    def words(self) -> tuple[str, ...]:
        """The strings that are allowed."""
        return ()

    def allows(self, value: Any) -> bool:
        """Whether the rule allows a value."""
        raise NotImplementedError


@dataclass(frozen=True)
class Number(Rule):
    """A number of one kind in an interval, or one of the values ``also``.

    Infinity is allowed only if ``also`` has it.
    """

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
        if not isinstance(value, self.kind) or not _is_finite(value):
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
    """One of several strings."""

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
    """True, False, or a level of at least 0."""

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
        sizes, one = value if is_list(value) else [value], Number(Integral, 1)
        return all(one.allows(size) and not _is_flag(size) for size in sizes)

    def __str__(self) -> str:
        return (
            "an int or a sequence of ints, one per hidden layer, every one > 0; "
            "() for no hidden layer"
        )


@dataclass(frozen=True)
class Scoring(Rule):
    """None, the name of a scorer of scikit-learn, a callable, or 'loss'."""

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
    """A dropout rate, or a list of dropout rates."""

    def allows(self, value: Any) -> bool:
        one = Number(Real, 0, 1)
        if is_list(value):
            return all(one.allows(rate) for rate in value)
        return one.allows(value)

    def __str__(self) -> str:
        return (
            "a float in the range [0, 1), or a list of such, one per hidden layer, or one for the "
            "features and then one per hidden layer"
        )


@dataclass(frozen=True)
class Declared(Rule):
    """A name, or an object of this package.

    Attributes
    ----------
    names : tuple of str
        The names that are allowed.
    kind : type
        The base class of the objects.
    example : str
        An object, as the user writes it.
    own : str
        How the user writes an object with a function of their own; empty if there is no such.
    per_layer : bool
        Whether a list, with one name or object per hidden layer, is allowed too.
    refused : tuple of type
        Types of objects of ``kind`` that are not allowed.
    number : Number or None
        The rule of a number in place of an object; None if no number is allowed.
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
        # The base class is abstract: an instance of it cannot train.
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
    """The weight of each class: None, 'balanced', a dict, or a list of dicts."""

    @property
    def words(self) -> tuple[str, ...]:
        return ("balanced",)

    def allows(self, value: Any) -> bool:
        if isinstance(value, list):
            return all(isinstance(one, Mapping) and self._all_allowed(one) for one in value)
        if isinstance(value, Mapping):
            return self._all_allowed(value)
        return value is None or (isinstance(value, str) and value in self.words)

    def _all_allowed(self, weights: Mapping[Any, Any]) -> bool:
        return all(Number(Real, 0).allows(weight) for weight in weights.values())

    def __str__(self) -> str:
        return (
            "None, 'balanced', a dict from label to a weight of at least 0, or for multilabel y "
            "a list of such dicts"
        )
