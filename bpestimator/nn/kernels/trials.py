"""Trials: whether two ways to compute the same sums round alike, tried out on many numbers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np

from bpestimator.nn.arrays import Array

# Where OpenBLAS adds up a single corner of a product in another order, about one trial in three
# shows it.
TRIALS = 32
# Each trial takes its numbers so many places after those of the trial before, from one long array:
# drawing new ones would take longer than the products.
SHIFT = 1000


def trials(shapes: list[tuple[int, int]], dtype: Any) -> Iterator[list[Array]]:
    """Arrays of these shapes, for each trial other ones."""
    ends = list(accumulate(a * b for a, b in shapes))
    numbers = np.resize(_numbers(dtype), ends[-1] + TRIALS * SHIFT)
    for start in range(0, TRIALS * SHIFT, SHIFT):
        parts = np.split(numbers[start : start + ends[-1]], ends[:-1])
        yield [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


@lru_cache
def _numbers(dtype: Any) -> Array:
    """Numbers without a pattern in their digits."""
    return np.sin(np.arange(1, 2**16)).astype(dtype)
