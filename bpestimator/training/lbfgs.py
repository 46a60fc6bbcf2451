"""L-BFGS: a quasi-Newton method that uses the gradient of all rows at once.

The minimiser is scipy's. This file gives it the objective as a function of a flat array.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from time import perf_counter
from typing import Any

import numpy as np
import scipy.optimize

from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.products import SparseRows, rows_of
from bpestimator.nn.network import NetworkSpec
from bpestimator.nn.parameters import Layout, move
from bpestimator.nn.predict import EXACT_ROWS
from bpestimator.nn.recording import Computation, add, call, copyto
from bpestimator.training.objective import Batch, Objective
from bpestimator.training.penalties import L2
from bpestimator.training.stopping import Log

# Above EXACT_ROWS, rows are taken in chunks whose hidden layers stay in the cache.
CHUNK_ROWS = 512


@dataclass
class LBFGSResult:
    """The result of a minimisation.

    Attributes
    ----------
    params : ndarray of shape (P,)
    loss : float
    n_iter : int
    problem : str
        Why it ended early, in scipy's words; empty if it converged.
    interrupted, out_of_time, stopped : bool
        Whether Ctrl-C, ``max_seconds`` or the listener ended it; then ``params`` are the last
        completed iteration's.
    """

    params: Array
    loss: float
    n_iter: int = 0
    problem: str = ""
    interrupted: bool = False
    out_of_time: bool = False
    stopped: bool = False


class _LeaveError(Exception):
    """Raised inside scipy's minimiser to end it."""


IterationListener = Callable[[Callable[[], Array], float, float], bool]


class FullBatch:
    """Penalised loss and gradient over all rows, as functions of the flat parameters.

    Parameters
    ----------
    spec : NetworkSpec
    batch : Batch
        All rows.
    penalty : L2
    params : ndarray of shape lead + (P,)
        Shape and dtype of the points to come.
    layout : Layout or None, default=None
        Where parameters lie in a point; None for the network's own.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        batch: Batch,
        penalty: L2,
        params: Array,
        layout: Layout | None = None,
    ) -> None:
        self._batch = batch
        self._objective = Objective(spec, np.empty_like(params), penalty, layout=layout)
        lead = params.shape[:-1]
        rows = batch.y.shape[-1] if spec.loss.takes_labels else batch.y.shape[-2]
        width = spec.loss.n_terms(spec.sizes[-1])
        self._terms = np.empty((*lead, rows, width), params.dtype)
        self._norms = np.empty((*lead, len(spec.sizes) - 1), params.dtype)
        self._write_gradient = Computation(self._gradient)

    def _gradient(self) -> None:
        """As :meth:`Objective.gradient`, of many rows in chunks."""
        if self._terms.shape[-2] <= EXACT_ROWS:
            self._objective.gradient(self._batch, self._terms, self._norms)
        else:
            self._gradient_in_chunks()

    def _gradient_in_chunks(self) -> None:
        """As :meth:`Objective.gradient`, with hidden layers that stay in the cache."""
        objective, (_, y, weight, total) = self._objective, self._batch
        rows = self._terms.shape[-2]
        x: Any = self._batch.x
        x = x.matrix.tocsr() if isinstance(x, SparseRows) else x
        row_axis = -1 if objective.spec.loss.takes_labels else -2
        collected = np.empty_like(objective.grad)
        objective.write_norms(self._norms)
        call(collected.fill, 0)
        for start in range(0, rows, CHUNK_ROWS):
            some = slice(start, min(start + CHUNK_ROWS, rows))
            chunk = Batch(
                rows_of(x[some] if x.ndim == 2 else x[..., some, :]),
                y[..., some] if row_axis == -1 else y[..., some, :],
                None if weight is None else weight[..., some],
                total,
            )
            objective.sum_gradient(chunk, self._terms[..., some, :])
            add(collected, objective.grad, collected)
        copyto(objective.grad, collected)
        objective.finish_gradient(self._batch)

    def __call__(self, params: Array) -> tuple[Any, Array]:
        """Loss of shape lead and a new array with its gradient, of shape lead + (P,)."""
        np.copyto(self._objective.params, params)
        self._write_gradient()
        _, y, weight, total = self._batch
        one_batch = self._objective.value(
            self._terms[..., None, :, :],
            y[..., None, :] if self._objective.spec.loss.takes_labels else y[..., None, :, :],
            None if weight is None else weight[..., None, :],
            self._norms[..., None],
            total,
        )
        return one_batch[..., 0], self._objective.grad.copy()


def minimize_lbfgs(
    spec: NetworkSpec,
    batch: Batch,
    penalty: L2,
    params: Array,
    *,
    tol: float,
    max_iter: int,
    max_fun: int,
    max_seconds: float = inf,
    log: Log | None = None,
    listener: IterationListener | None = None,
) -> LBFGSResult:
    """Minimise the penalised loss over all rows from ``params`` of shape (P,).

    Parameters
    ----------
    tol : float
        Largest entry of the gradient that counts as converged.
    max_iter, max_fun : int
        Most iterations and most evaluations of the loss.
    max_seconds : float, default=inf
        Checked after each iteration.
    log : callable, optional
        Takes the line of each iteration.
    listener : callable, optional
        Called after each iteration with a function that returns its parameters, with its loss and
        with its seconds; returns True to end the minimisation.

    Source: Byrd, Lu, Nocedal and Zhu, SIAM J. Scientific Computing 16 (1995).
    """
    # scipy's sums over all parameters go in this order, as in scikit-learn.
    in_order = Layout(spec.sizes, from_first=True)
    reached = move(params, spec.layout, in_order)
    full_batch = FullBatch(spec, batch, penalty, params, in_order)
    best = LBFGSResult(params=params, loss=float("inf"))

    loss_here = float("inf")
    start = now = perf_counter()

    def objective(point: Array) -> tuple[float, Array]:
        nonlocal loss_here
        loss, grad = full_batch(point)
        loss_here = float(loss)
        return loss_here, grad

    def after_iteration(point: Array) -> None:
        # The line search ends with the point that it accepts, so the latest loss is that point's.
        nonlocal now, reached
        reached, best.loss = point.copy(), loss_here
        best.n_iter += 1
        began, now = now, perf_counter()
        if log is not None:
            log(f"Iteration {best.n_iter}, loss = {best.loss:.8f}")
        here = partial(move, reached, in_order, spec.layout)
        best.stopped = listener is not None and listener(here, loss_here, now - began)
        best.out_of_time = now - start > max_seconds
        if best.stopped or best.out_of_time:
            raise _LeaveError

    try:
        with np.errstate(all="ignore"):
            found = scipy.optimize.minimize(
                objective,
                reached,
                method="L-BFGS-B",
                jac=True,
                options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol},
                callback=after_iteration,
            )
    except (KeyboardInterrupt, _LeaveError) as error:
        best.interrupted = isinstance(error, KeyboardInterrupt)
        return replace(best, params=move(reached, in_order, spec.layout))
    if best.n_iter == 0 or np.isfinite(found.x).all():
        reached = found.x
    return replace(
        best,
        params=move(reached, in_order, spec.layout),
        loss=float(found.fun),
        n_iter=min(int(found.nit), max_iter),
        problem="" if found.status == 0 else str(found.message),
    )
