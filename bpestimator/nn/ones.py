"""Ones: biases as the weights of an input that is always one.

For rows that end in a one,

    [x 1] [W; b] = x W + b,    and    [x 1]^T delta = [x^T delta; sum of delta's rows]:

two products do the work of two products, an addition and a sum that each pass over all units
of the first layer, a tenth of a small network's step. Rounded they may differ, as BLAS adds up
in an order of its own; so it is tried out, once for each shape, whether they do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from bpestimator.nn.layout import Array
from bpestimator.nn.products import SMALL_PRODUCT, SharedRows, product_transposed
from bpestimator.nn.recording import copyto, dot, reduce_sum
from bpestimator.nn.workspace import Workspace

# For more features, copying the rows takes as long as is won.
MOST_FEATURES = 32
# Of more units, NumPy's own sum takes no longer.
FEW_UNITS = 32
# Up to so many multiplications OpenBLAS takes one thread whatever it may have.
ONE_THREAD_PRODUCT = 2**18
# Where a corner of a product, a single number, is added up in another order than the rest, every
# third trial or so shows it.
TRIALS = 32
SHIFT = 1000


class Alike(NamedTuple):
    """How many columns of ones give the very bits of what they stand for; 0 where none do.

    add : of biases added to the products, 0 or 1
    sum : of the sums over the batch, 0 to 2: some kernels add up an odd last column differently
    """

    add: int = 0
    sum: int = 0


@dataclass(frozen=True)
class RowsWithOnes:
    """A batch of rows, and the same rows ending in ones.

    Parameters
    ----------
    plain : ndarray of shape (..., batch, features), or SharedRows
    to_add, to_sum : the same with one column more, or two; or None
        What to multiply with weights and biases, and with deltas; None where that rounds
        differently.
    """

    plain: Array | SharedRows
    to_add: Array | SharedRows | None
    to_sum: Array | SharedRows | None


def rows_with_ones(x: Array | SharedRows, features: int, found: Alike) -> RowsWithOnes:
    """Views of rows that end in as many ones as either needs."""
    add, sum_ = (_columns(x, features + n) if n else None for n in found)
    return RowsWithOnes(_columns(x, features), add, sum_)


def _columns(x: Array | SharedRows, n: int) -> Array | SharedRows:
    """The first columns of rows."""
    if isinstance(x, SharedRows):
        return SharedRows([(models, rows[:, :n]) for models, rows in x.parts])
    return x[..., :n]


def product_and_sum(to_sum: Array | SharedRows, delta: Array, grads: Array, ws: Workspace) -> None:
    """grads := [x 1]^T delta, of shape lead + (features + 1, units)."""
    *lead, n_grads, units = grads.shape
    part = to_sum.parts[0][1] if isinstance(to_sum, SharedRows) else to_sum
    if part.shape[-1] == n_grads:
        product_transposed(to_sum, delta, grads, ws)
        return
    wider = ws.empty((*lead, n_grads + 1, units), grads.dtype)
    product_transposed(to_sum, delta, wider, ws)
    copyto(grads, wider[..., :-1, :])


def sum_of_rows(delta: Array, out: Array, ws: Workspace) -> None:
    """out := sum over the batch."""
    *lead, rows, units = delta.shape
    if not lead and sums_alike(rows, units, delta.dtype):
        ones, sums = ws.empty((rows, 2), delta.dtype), ws.empty((2, units), delta.dtype)
        ones.fill(1)
        dot(ones.T, delta, sums)
        copyto(out, sums[:1])
    elif not lead or units == 1:  # a single column is summed in another order
        reduce_sum(delta, -2, None, out, True)
    else:
        by_row, piece = delta, ws.like(out)
        if delta.flags.c_contiguous:
            by_row = ws.row_by_row(delta)
            copyto(by_row, delta)
        reduce_sum(by_row, -2, None, piece, True)
        copyto(out, piece)


@lru_cache(maxsize=1024)
def sums_alike(rows: int, units: int, dtype: Any) -> bool:
    """Whether a product with two columns of ones may sum few units over the batch.

    NumPy takes 20 nanoseconds for each row, however few its numbers.
    """
    if units > FEW_UNITS or 2 * rows * units > ONE_THREAD_PRODUCT or min(rows, units) < 2:
        return False
    ones = np.ones((rows, 2), dtype)
    return all(
        np.array_equal(ones.T.dot(delta)[0], np.add.reduce(delta, 0))
        for (delta,) in _trials([(rows, units)], dtype)
    )


@lru_cache(maxsize=1024)
def alike(rows: int, features: int, units: int, dtype: Any) -> Alike:
    """Whether ones may do the work of biases for batches of that shape; tried on some numbers.

    On one BLAS thread, as in training: several may round otherwise.
    """
    too_large = features > MOST_FEATURES or rows * (features + 2) * units > SMALL_PRODUCT
    if too_large or min(rows, features, units) < 2:  # vectors: their sums follow their addresses
        return Alike()
    add, sums = True, [True, True]
    shapes = [(rows, features), (rows, units), (features + 1, units)]
    for x, delta, weights in _trials(shapes, dtype):
        extended = with_ones(x, 2)
        sums_apart = np.concatenate([x.T @ delta, np.add.reduce(delta, 0, keepdims=True)])
        added_apart = x @ weights[:-1] + weights[-1]
        add = add and np.array_equal(extended[:, :-1] @ weights, added_apart)
        for k, found in enumerate(sums):
            grads = extended[:, : features + k + 1].T @ delta
            sums[k] = found and np.array_equal(grads[: features + 1], sums_apart)
        if not (add or any(sums)):
            break
    return Alike(int(add), sums.index(True) + 1 if any(sums) else 0)


def _trials(shapes: list[tuple[int, int]], dtype: Any) -> Iterator[list[Array]]:
    """Arrays of these shapes, again and again; never the same."""
    ends = list(accumulate(a * b for a, b in shapes))
    numbers = np.resize(_numbers(dtype), ends[-1] + TRIALS * SHIFT)
    for start in range(0, TRIALS * SHIFT, SHIFT):
        parts = np.split(numbers[start : start + ends[-1]], ends[:-1])
        yield [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


@lru_cache
def _numbers(dtype: Any) -> Array:
    """Numbers of all digits and without a pattern."""
    return np.sin(np.arange(1, 2**16)).astype(dtype)


def with_ones(x: Array, columns: int) -> Array:
    """Rows that end in so many ones, in C order; themselves if they are that already."""
    if not columns:
        return np.ascontiguousarray(x)
    rows, features = x.shape
    extended = np.ones((rows, features + columns), x.dtype)
    extended[:, :features] = x
    return extended
