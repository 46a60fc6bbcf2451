"""Matplotlib: imported where something is drawn, and only there; and what its lines take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from inspect import Parameter, signature
from typing import Any

# What ``Axes.plot`` takes besides the properties of a line.
OF_AXES = ("scalex", "scaley")


def matplotlib() -> Any:
    """The package, with all that is used of it; ImportError that says what to install."""
    try:
        import matplotlib
        import matplotlib.cbook
        import matplotlib.lines
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError(
            'LearningRateDisplay draws with matplotlib: pip install "bpestimator[plot]"'
        ) from error
    return matplotlib


def check_keywords(keywords: Iterable[str], method: Callable[..., Any]) -> None:
    """TypeError for one that is neither the method's own nor a property of the line."""
    for name in keywords:
        of_line = _of_line()
        if name in of_line:
            continue
        own = [
            parameter.name
            for parameter in signature(method).parameters.values()
            if parameter.kind is not Parameter.VAR_KEYWORD
        ]
        likely = get_close_matches(name, own) or get_close_matches(name, of_line)
        hint = f" Did you mean {likely[0]!r}?" if likely else ""
        raise TypeError(
            f"LearningRateDisplay.{method.__name__} takes {', '.join(own)}, and properties of "
            f"matplotlib's Line2D, such as color or marker. Got {name!r}.{hint}"
        )


def _of_line() -> list[str]:
    """Every keyword that ``Axes.plot`` takes."""
    line = matplotlib().lines.Line2D
    return [*OF_AXES, *(name[4:] for name in dir(line) if name.startswith("set_"))]
