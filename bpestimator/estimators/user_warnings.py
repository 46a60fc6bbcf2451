"""Warnings that point at the user's line, whatever libraries lie between."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import joblib
import sklearn

# Frames of these packages are not the user's: their Pipelines, searches and callbacks call ours.
_PACKAGES = (
    Path(__file__).parents[1],
    *(Path(package.__file__).parent for package in (joblib, sklearn)),
)
_NOT_THE_USERS = tuple(f"{folder}{os.sep}" for folder in _PACKAGES)


def warn(found: Iterable[Warning]) -> None:
    """Issue warnings, each as if the user's own line did."""
    for warning in found:
        warnings.warn(warning, stacklevel=_frames_to_user())


def _frames_to_user() -> int:
    """What :func:`warn` needs as ``stacklevel``; 2 where no frame is the user's."""
    frame, level = sys._getframe(1), 1
    while frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        if frame.f_back is None:
            return 2
        frame, level = frame.f_back, level + 1
    return level


@contextmanager
def recorded_warnings() -> Iterator[list[Warning]]:
    """Keep warnings to issue them later: a list, full once the block is left."""
    kept: list[Warning] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield kept
    kept += [one.message for one in caught if isinstance(one.message, Warning)]
