"""Warnings that point at the user's line, even if the call came through other libraries."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import joblib
import sklearn

# Frames of these packages are not the user's: Pipelines, searches and callbacks call this package,
# and workers begin in a pool of processes or threads.
_PACKAGES = (
    Path(__file__).parents[1],
    *(
        Path(str(package.__file__)).parent
        for package in (joblib, sklearn, multiprocessing, concurrent.futures)
    ),
)
_NOT_THE_USERS = (*(f"{folder}{os.sep}" for folder in _PACKAGES), threading.__file__, "<frozen ")


def warn(to_issue: Iterable[Warning]) -> None:
    """Issue warnings, each with the location of the user's line."""
    for warning in to_issue:
        warnings.warn(warning, stacklevel=_frames_to_user())


def _frames_to_user() -> int:
    """The ``stacklevel`` that :func:`warn` needs; 2 if no frame is the user's."""
    frame, level = sys._getframe(1), 1
    while frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        if frame.f_back is None:
            return 2
        frame, level = frame.f_back, level + 1
    return level


@contextmanager
def recorded_warnings() -> Iterator[list[Warning]]:
    """Record warnings instead of issuing them.

    Yields
    ------
    list of Warning
        Empty within the block, filled when the block ends.
    """
    recorded: list[Warning] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield recorded
    recorded += [record.message for record in caught if isinstance(record.message, Warning)]
