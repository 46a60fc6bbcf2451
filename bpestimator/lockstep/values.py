"""Values: compare objects, such as parameters, by what they hold.

Objects are compared by value if everything that they hold can be compared, and by identity
otherwise. So two objects that are equal may be found different, but not the reverse.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

# Deeper structures are compared by identity, since they may be circular.
MOST_LEVELS = 20

_ATOMS = (type(None), bool, int, float, complex, str, bytes, np.generic)
_BY_IDENTITY = (FunctionType, BuiltinFunctionType, np.ufunc, type, ModuleType)


class _Identity:
    """An object that is compared by identity.

    The reference keeps it alive, so that no other object can get its id.
    """

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)


def value_key(value: Any, levels: int = MOST_LEVELS) -> Hashable:
    """A hashable key of a value, equal for two values only if they behave alike.

    The keys of 1 and 1.0 differ, since a parameter may take 1 as a count and 1.0 as a fraction.

    Parameters
    ----------
    value : object
    levels : int, optional
        The number of nested levels to compare by value.

    Examples
    --------
    >>> value_key([1, {"a": np.zeros(2)}]) == value_key([1, {"a": np.zeros(2)}])
    True
    >>> value_key(1) == value_key(1.0)
    False
    """
    kind = type(value)
    if isinstance(value, _ATOMS):
        return kind, repr(value) if value != value else value  # NaN is equal to nothing
    if isinstance(value, _BY_IDENTITY) or levels == 0:
        return _Identity(value)
    parts = _parts(value)
    if parts is None:
        return _Identity(value)
    return kind, tuple(
        (name, part if name == _WHOLE else value_key(part, levels - 1)) for name, part in parts
    )


_WHOLE = ""  # the name of the only part of a value, which is hashable itself


def _parts(value: Any) -> list[tuple[Any, Any]] | None:
    """The parts of a value, by name; None if they cannot be compared."""
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if isinstance(value, (set, frozenset)):
        keys = frozenset(map(value_key, value))
        return [(_WHOLE, keys)]
    if isinstance(value, Mapping):
        return [(_WHOLE, frozenset((value_key(k), value_key(v)) for k, v in value.items()))]
    is_plain = isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray)
    if is_plain and value.dtype.kind != "O":
        return [(_WHOLE, (value.dtype.str, value.shape, value.tobytes()))]
    if isinstance(value, MethodType):
        return [("function", value.__func__), ("self", value.__self__)]
    if isinstance(value, partial):
        return [("function", value.func), ("args", value.args), ("keywords", value.keywords)]
    if isinstance(value, BaseEstimator):
        return sorted(value.get_params(deep=False).items())
    return _parts_of_object(value)


def _parts_of_object(value: Any) -> list[tuple[str, Any]] | None:
    """The attributes of an object whose class is written in Python; None for other objects."""
    kind = type(value)
    bases = kind.__mro__[:-1]
    in_python = all("__dict__" in vars(base) or base.__dictoffset__ for base in bases)
    has_slots = any(vars(base).get("__slots__") for base in bases)
    if not bases or not in_python or has_slots or kind.__module__ == "builtins":
        return None
    state: dict[str, Any] = dict(vars(value))
    if is_dataclass(value):
        state |= {one.name: getattr(value, one.name) for one in fields(value)}
    return sorted(state.items())


def holds_more_than_declared(value: Any) -> bool:
    """Whether a dataclass, or one in a list, has attributes that its ``==`` does not compare."""
    if isinstance(value, (list, tuple)):
        return any(map(holds_more_than_declared, value))
    if not is_dataclass(value) or isinstance(value, type):
        return False
    declared = {part.name for part in fields(value) if part.repr and part.compare}
    return not vars(value).keys() <= declared


def may_remember(value: Any) -> bool:
    """Whether a value is, or holds, a callable object that may hold state.

    Each fit has its own copy of such an object, so that fits in lockstep cannot share it.
    """
    if isinstance(value, (list, tuple)):
        return any(map(may_remember, value))
    if is_dataclass(value) and not isinstance(value, type):
        return any(may_remember(getattr(value, one.name)) for one in fields(value))
    if isinstance(value, partial):
        return may_remember(value.func) or any(
            callable(part) and may_remember(part)
            for part in (*value.args, *value.keywords.values())
        )
    return callable(value) and not isinstance(value, _BY_IDENTITY)
