"""The bias trick: biases as the weights of an input that is always one.

For rows that end in a one,

    [x 1] [W; b] = x W + b,    and    [x 1]^T delta = [x^T delta; sum of delta's rows]:

two products do the work of two products, an addition and a sum that each pass over all units
of the first layer, a tenth of a small network's step. BLAS adds up in an order of its own, so the
results may be rounded differently: whether they are is tried out, once for each shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, wraps
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.products import (
    SMALL_PRODUCT,
    SharedRows,
    product,
    product_transposed,
)
from bpestimator.nn.kernels.workspace import Workspace
from bpestimator.nn.parameters import Views
from bpestimator.nn.recording import copyto, dot, reduce_sum

# With more features, copying the rows takes as long as it saves.
MOST_FEATURES = 32
# With more units, NumPy's own sum is as fast.
FEW_UNITS = 32
# Up to so many multiplications OpenBLAS uses one thread, however many it may have.
ONE_THREAD_PRODUCT = 2**18
# Where OpenBLAS adds up a single corner of a product in another order, about one trial in three
# shows it.
TRIALS = 32
SHIFT = 1000


class ExactColumns(NamedTuple):
    """How many columns of ones give the very bits of what they replace; 0 where none do.

    add : the addition of the biases to the products; 0 or 1
    sum : the sums over the batch; 0 to 2, as some kernels add up an odd last column differently
    """

    add: int = 0
    sum: int = 0


@dataclass(frozen=True)
class RowsWithOnes:
    """A batch of rows, and the same rows with columns of ones at their end.

    Parameters
    ----------
    plain : ndarray of shape (..., batch, features), or SharedRows
    to_add, to_sum : the same with one column more, or two; or None
        The factors of [W; b] and of delta; None where that product rounds differently.
    """

    plain: Array | SharedRows
    to_add: Array | SharedRows | None
    to_sum: Array | SharedRows | None


def rows_with_ones(x: Array | SharedRows, features: int, found: ExactColumns) -> RowsWithOnes:
    """Views of rows that already end in as many ones as either product needs."""
    add, sum_ = (_columns(x, features + n) if n else None for n in found)
    return RowsWithOnes(_columns(x, features), add, sum_)


def _columns(x: Array | SharedRows, n: int) -> Array | SharedRows:
    """The first columns of rows."""
    if isinstance(x, SharedRows):
        return SharedRows([(models, rows[:, :n]) for models, rows in x.parts])
    return x[..., :n]


def in_one_product(trick: Callable[..., bool]) -> Callable[[Callable[..., None]], Any]:
    """Decorate a function of rows: for rows that end in ones, ``trick`` replaces it.

    ``trick`` takes the same arguments, and returns False where it would round differently; then
    the function computes on the plain rows.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def run(a: Any, views: Views, k: int, z: Array, ws: Workspace) -> None:
            if isinstance(a, RowsWithOnes):
                if trick(a, views, k, z, ws):
                    return
                a = a.plain
            function(a, views, k, z, ws)

        return run

    return decorate


def weighted_sum_with_ones(a: RowsWithOnes, params: Views, k: int, z: Array, ws: Workspace) -> bool:
    """z := [a 1] [W; b]."""
    if a.to_add is None:
        return False
    product(a.to_add, params.first, z, ws)
    return True


def gradient_with_ones(a: RowsWithOnes, grads: Views, k: int, delta: Array, ws: Workspace) -> bool:
    """[dW; db] := [a 1]^T delta."""
    if a.to_sum is None:
        return False
    *lead, n_grads, units = grads.first.shape
    part = a.to_sum.parts[0][1] if isinstance(a.to_sum, SharedRows) else a.to_sum
    if part.shape[-1] == n_grads:
        product_transposed(a.to_sum, delta, grads.first, ws)
    else:  # two columns of ones give the sums twice
        wider = ws.empty((*lead, n_grads + 1, units), delta.dtype)
        product_transposed(a.to_sum, delta, wider, ws)
        copyto(grads.first, wider[..., :-1, :])
    return True


def sum_over_batch(delta: Array, out: Array, ws: Workspace) -> None:
    """out := sum of delta over the batch."""
    *lead, rows, units = delta.shape
    if not lead and sum_is_exact(rows, units, delta.dtype):
        ones, sums = ws.empty((rows, 2), delta.dtype), ws.empty((2, units), delta.dtype)
        ones.fill(1)
        dot(ones.T, delta, sums)
        copyto(out, sums[:1])
    elif not lead or units == 1:  # NumPy sums a single column in another order
        reduce_sum(delta, -2, None, out, True)
    else:
        by_row, piece = delta, ws.like(out)
        if delta.flags.c_contiguous:
            by_row = ws.row_by_row(delta)
            copyto(by_row, delta)
        reduce_sum(by_row, -2, None, piece, True)
        copyto(out, piece)


@lru_cache(maxsize=1024)
def sum_is_exact(rows: int, units: int, dtype: Any) -> bool:
    """Whether a product with two columns of ones gives the bits of a sum over the batch.

    NumPy's sum takes 20 nanoseconds for each row, however few units there are.
    """
    if units > FEW_UNITS or 2 * rows * units > ONE_THREAD_PRODUCT or min(rows, units) < 2:
        return False
    ones = np.ones((rows, 2), dtype)
    return all(
        np.array_equal(ones.T.dot(delta)[0], np.add.reduce(delta, 0))
        for (delta,) in _trials([(rows, units)], dtype)
    )


@lru_cache(maxsize=1024)
def exact_columns(rows: int, features: int, units: int, dtype: Any) -> ExactColumns:
    """Columns of ones that change no bit for batches of that shape, found by trials.

    They hold for one BLAS thread, as in training: several may round differently.
    """
    too_large = features > MOST_FEATURES or rows * (features + 2) * units > SMALL_PRODUCT
    if too_large or min(rows, features, units) < 2:  # vectors: their sums follow their addresses
        return ExactColumns()
    add, sums = True, [True, True]
    shapes = [(rows, features), (rows, units), (features + 1, units)]
    for x, delta, weights in _trials(shapes, dtype):
        extended = append_ones(x, 2)
        sums_apart = np.concatenate([x.T @ delta, np.add.reduce(delta, 0, keepdims=True)])
        added_apart = x @ weights[:-1] + weights[-1]
        add = add and np.array_equal(extended[:, :-1] @ weights, added_apart)
        for k, found in enumerate(sums):
            grads = extended[:, : features + k + 1].T @ delta
            sums[k] = found and np.array_equal(grads[: features + 1], sums_apart)
        if not (add or any(sums)):
            break
    return ExactColumns(int(add), sums.index(True) + 1 if any(sums) else 0)


def _trials(shapes: list[tuple[int, int]], dtype: Any) -> Iterator[list[Array]]:
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


def append_ones(x: Array, columns: int) -> Array:
    """Rows that end in so many ones, in C order; not copied if there is nothing to do."""
    if not columns:
        return np.ascontiguousarray(x)
    rows, features = x.shape
    extended = np.ones((rows, features + columns), x.dtype)
    extended[:, :features] = x
    return extended
