"""Matplotlib: imported where something is drawn, and only there."""

from __future__ import annotations

from typing import Any


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
