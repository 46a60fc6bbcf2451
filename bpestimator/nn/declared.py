"""Declared objects: activations, losses, optimizers and the like, this package's and the users'.

The methods of this package record their NumPy calls one by one. A class defined elsewhere is
written in plain NumPy, whose calls are not recorded; so each call of a method that it overrides
is recorded as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from inspect import get_annotations, isgeneratorfunction
from typing import Any, ClassVar

from bpestimator.nn.kernels.workspace import Workspace
from bpestimator.nn.recording import call

PACKAGE = __name__.split(".")[0]


class Declared:
    """Base class of what users may declare themselves.

    Attributes
    ----------
    recorded_methods : tuple of str
        The methods that compute in place, and so may be recorded and played.
    renamed : dict of str
        For each name that subclasses could define in an earlier version, today's.
    overridden : frozenset of str
        The names that classes outside this package define.
    is_plain : bool
        Whether one of ``recorded_methods`` is among them, in plain NumPy.

    Raises
    ------
    TypeError
        When a subclass is made that defines one of the names in ``renamed``, or one of its
        methods as a generator: it would be skipped in silence.
    """

    recorded_methods: ClassVar[tuple[str, ...]] = ()
    renamed: ClassVar[Mapping[str, str]] = {}
    overridden: ClassVar[frozenset[str]] = frozenset()
    is_plain: ClassVar[bool] = False

    def must_define(self, method: str) -> NotImplementedError:
        """The error of a class that lacks a method."""
        return NotImplementedError(f"{type(self).__name__} must define {method}.")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        elsewhere = [base for base in cls.__mro__ if _is_elsewhere(base)]
        for base in elsewhere:
            _check_names(cls, base)
        cls.overridden = frozenset(name for base in elsewhere for name in vars(base))
        if elsewhere and not hasattr(cls, "name"):
            setattr(cls, "name", cls.__name__)  # noqa: B010
        for name in cls.recorded_methods:
            owner = next(base for base in cls.__mro__ if name in vars(base))
            if _is_elsewhere(owner):
                cls.is_plain = True
                if not hasattr(method := vars(owner)[name], "is_recorded_whole"):
                    setattr(cls, name, _recorded_whole(method))


def _is_elsewhere(cls: type) -> bool:
    """Whether a class is defined outside this package."""
    return cls is not object and cls.__module__.split(".")[0] != PACKAGE


def _check_names(cls: type[Declared], base: type) -> None:
    """TypeError if what a base class of ``cls`` defines would be ignored."""
    fields = {name for name, kind in get_annotations(base).items() if "ClassVar" not in str(kind)}
    ours = [parent for parent in cls.__mro__ if not _is_elsewhere(parent)]
    for name, value in vars(base).items():
        if name in cls.renamed and name not in fields:
            raise TypeError(
                f"{base.__name__}.{name} would be ignored: its name is {cls.renamed[name]} now."
            )
        if isgeneratorfunction(value) and any(hasattr(parent, name) for parent in ours):
            raise TypeError(_no_generator(base, name))


def _no_generator(owner: type, name: str) -> str:
    return (
        f"{owner.__name__}.{name} must not be a generator, which would never run. Write plain "
        "calls such as np.tanh(z, out=z), without yield."
    )


def _recorded_whole(method: Callable[..., Any]) -> Callable[..., None]:
    """A method whose call is recorded as a whole."""

    @wraps(method)
    def run(self: Declared, *args: Any, **kwargs: Any) -> None:
        used = [(ws, ws.taken) for ws in (*args, *kwargs.values()) if isinstance(ws, Workspace)]
        call(_run, method, used, self, *args, **kwargs)

    run.is_recorded_whole = True  # type: ignore[attr-defined]
    return run


def _run(
    method: Callable[..., Any],
    used: list[tuple[Workspace, int]],
    self: Declared,
    *args: Any,
    **kwargs: Any,
) -> None:
    """Run a method, on the buffers that its workspace gave it when it was recorded."""
    in_use = [ws.taken for ws, _ in used]
    for ws, taken in used:
        ws.rewind(taken)
    returned = method(self, *args, **kwargs)
    if isinstance(returned, Iterator):
        raise TypeError(_no_generator(type(self), method.__name__))
    if returned is not None:
        raise TypeError(
            f"{type(self).__name__}.{method.__name__} must write into its arguments, and return "
            f"nothing: np.tanh(z, out=z) rather than return np.tanh(z). Got {returned!r:.60}."
        )
    for (ws, _), before in zip(used, in_use, strict=True):
        ws.rewind(max(before, ws.taken))
