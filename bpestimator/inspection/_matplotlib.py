"""Matplotlib: imported only to draw or to check the properties of a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from inspect import Parameter, signature
from typing import Any

# The keywords of ``Axes.plot`` that are not properties of a line.
AXES_KEYWORDS = ("scalex", "scaley")


def matplotlib() -> Any:
    """Import matplotlib, with the modules that this package uses.

    Raises
    ------
    ImportError
        Without matplotlib; the message says what to install.
    """
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
    """Check keywords that a method passes on to a line.

    Parameters
    ----------
    keywords : iterable of str
    method : callable
        The method that took them; its own parameters are suggested, too, for a misspelt keyword.

    Raises
    ------
    TypeError
        For a keyword that is not a property of the line.
    """
    for name in keywords:
        line_keywords = _line_keywords()
        if name in line_keywords:
            continue
        own_parameters = [
            parameter.name
            for parameter in signature(method).parameters.values()
            if parameter.kind is not Parameter.VAR_KEYWORD
        ]
        likely = get_close_matches(name, own_parameters) or get_close_matches(name, line_keywords)
        hint = f" Did you mean {likely[0]!r}?" if likely else ""
        raise TypeError(
            f"LearningRateDisplay.{method.__name__} takes {', '.join(own_parameters)}, and "
            f"properties of matplotlib's Line2D, such as color or marker. Got {name!r}.{hint}"
        )


def _line_keywords() -> list[str]:
    """All keywords that ``Axes.plot`` takes."""
    line = matplotlib().lines.Line2D
    return [*AXES_KEYWORDS, *(name[4:] for name in dir(line) if name.startswith("set_"))]
