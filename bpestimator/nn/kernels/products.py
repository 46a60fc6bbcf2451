"""Products: matrix products and sums, of one model or of many, each computed the quickest way.

Every result has the same bits as ``matmul`` and ``sum``, which are scikit-learn's, unless
``ws.splits_products``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.trials import trials
from bpestimator.nn.kernels.workspace import Workspace
from bpestimator.nn.recording import add, call, copyto, dot, matmul, reduce_sum

# With so few terms in each sum, OpenBLAS takes up to twice as long where the second factor is
# transposed; with 16 terms or more the product with a copy may be rounded differently. For one
# model a copy costs as much as it saves.
FEW_TERMS = range(2, 16)
# Up to so many columns, adding columns is quicker than summing each row.
FEW_COLUMNS = 15
# Up to so many multiplications OpenBLAS has quicker routines, by a fifth, and by half for few
# columns; they round differently from those for more. With very few rows at a time it is slower.
SMALL_PRODUCT = 1_000_000
LEAST_ROWS = 64
# With more units, NumPy's own sum over the batch is as fast as a product.
FEW_UNITS = 32
# Up to so many multiplications OpenBLAS uses one thread, however many it may have.
ONE_THREAD_PRODUCT = 2**18


@dataclass
class SparseRows:
    """A batch of sparse rows: ``matrix`` is another one for each batch."""

    matrix: Any = None

    def times(self, b: Array, out: Array) -> None:
        """out := matrix b, for each model."""
        for model in np.ndindex(out.shape[:-2]):
            out[model] = self.matrix @ b[model]

    def transposed_times(self, b: Array, out: Array) -> None:
        """out := matrix^T b, for each model."""
        for model in np.ndindex(out.shape[:-2]):
            out[model] = self.matrix.T @ b[model]


@dataclass(frozen=True)
class SharedRows:
    """A batch of rows from several data sets, each shared by consecutive models.

    Parameters
    ----------
    parts : list of (slice, ndarray)
        Which models, along the leading axis, and their rows, of shape (batch, features).
    """

    parts: list[tuple[slice, Array]]

    def transposed(self) -> SharedRows:
        """The transpose of each part, of shape (features, batch)."""
        return SharedRows([(models, rows.T) for models, rows in self.parts])


Rows = SparseRows | SharedRows


def rows_of(x: Any) -> Array | SparseRows:
    """Rows as :func:`product` takes them."""
    return x if isinstance(x, np.ndarray) else SparseRows(x)


def product(a: Array | Rows, b: Array, out: Array, ws: Workspace) -> None:
    """out := a b, over the last two axes."""
    if isinstance(a, SparseRows):
        call(a.times, b, out)
    elif isinstance(a, SharedRows):
        for models, rows in a.parts:
            product(rows, b[models], out[models], ws)
    elif out.ndim == 2:
        # ndarray.dot takes half a microsecond less than matmul, which scikit-learn uses; where
        # dot has to copy an operand it may round differently.
        times = dot if a.flags.forc else matmul
        if not ws.splits_products:
            times(a, b, out)
            return
        for some in _slices(len(a), b.size):
            times(a[some], b, out[some])
    elif a.shape[-1] == 1:
        # An outer product: NumPy computes it without BLAS, which takes five times as long as
        # BLAS takes for two columns, the second of them zeros.
        two_columns = ws.zeros((*a.shape[:-1], 2), out.dtype)
        two_rows = ws.zeros((*b.shape[:-2], 2, b.shape[-1]), out.dtype)
        copyto(two_columns[..., :1], a)
        copyto(two_rows[..., :1, :], b)
        matmul(two_columns, two_rows, out)
    else:
        matmul(a, b, out)


def _slices(rows: int, multiplications: int) -> list[slice]:
    """Slices of about equal size, each small enough for a small product, or a single one.

    ``multiplications`` is the number for each row.
    """
    most = SMALL_PRODUCT // multiplications
    size = -(-rows // -(-rows // most)) if most >= LEAST_ROWS else rows
    return [slice(start, start + size) for start in range(0, rows, size)]


def product_at_b(a: Array | Rows, b: Array, out: Array, ws: Workspace) -> None:
    """out := a^T b, over the last two axes."""
    if isinstance(a, SparseRows):
        call(a.transposed_times, b, out)
    elif isinstance(a, SharedRows):
        product(a.transposed(), b, out, ws)
    else:
        product(a.swapaxes(-1, -2), b, out, ws)


def product_a_bt(a: Array, b: Array, out: Array, ws: Workspace) -> None:
    """out := a b^T, over the last two axes."""
    transposed = b.swapaxes(-1, -2)
    if out.ndim > 2 and a.shape[-2] > 1 and a.shape[-1] in FEW_TERMS:
        in_order = ws.empty(transposed.shape, b.dtype)
        copyto(in_order, transposed)
        transposed = in_order
    product(a, transposed, out, ws)


def add_to_rows(z: Array, row: Array, ws: Workspace) -> None:
    """z += row, to every row of the batch."""
    if z.ndim > 2 and not z.flags.c_contiguous:
        # z lies row by row in memory: one long stretch, if the row is contiguous too.
        piece = ws.like(z[..., :1, :])
        copyto(piece, row)
        row = piece
    add(z, row, z)


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
        for (delta,) in trials([(rows, units)], dtype)
    )


def sum_of_columns(columns: Array, out: Array, ws: Workspace) -> None:
    """out := sum over the first axis, of two columns or more, at most ``FEW_COLUMNS``.

    Rounded as NumPy rounds the sum of a contiguous row: the first eight are added in pairs
    if there are that many, all others one after the other.
    """
    so_far, *others = columns
    if len(columns) >= 8:
        fours, twos = (ws.empty((n, *out.shape), out.dtype) for n in (4, 2))
        add(columns[0:8:2], columns[1:8:2], fours)
        add(fours[::2], fours[1::2], twos)
        so_far, *others = *twos, *columns[8:]
    for column in others:
        add(so_far, column, out)
        so_far = out
