"""Single runs of our side of the benchmarks, told one by one which to make; see ``pairs.py``.

    python tests/benchmarks/figures.py TREE

Reads lines "times name" and answers each with the seconds that so many runs of the figure took:
of the wall clock, and of the processor.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import fit
import life
import numpy as np
import search
from contest import Run
from sklearn.preprocessing import scale

from bpestimator import BackpropClassifier, LockstepGridSearchCV

sys.path.append(str(Path(__file__).parents[1]))

from trees import check_imported_from

DTYPES = (np.float64, np.float32)
# Runs are shorter than those of the benchmarks, so that many pairs fit into a minute.
SHARE_OF_EPOCHS = {"fit": 0.75, "search": 0.25, "lbfgs": 1.0}
MANY_ROWS = 200_000
SPARSE_ROWS = 5000
CALLS_IN_PARTS = 50


def share_of(epochs: int, group: str) -> int:
    return max(1, round(epochs * SHARE_OF_EPOCHS[group]))


def fitting(work: fit.Workload, dtype: type) -> Run:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(work.rows, work.sizes[0])).astype(dtype)
    y = rng.integers(work.sizes[-1], size=work.rows)
    shorter = work._replace(epochs=share_of(work.epochs, "fit"))
    return fit.fit_with(BackpropClassifier, shorter, X, y)


def searching(number: int, dtype: type) -> Run:
    _, (X, y), net, _ = search.workloads()[number]
    params = {**net, "max_iter": share_of(net["max_iter"], "search")}
    est = BackpropClassifier(**params, n_iter_no_change=np.inf, random_state=0)
    return partial(LockstepGridSearchCV(est, search.RATES).fit, scale(X).astype(dtype), y)


def minimizing(rows: int, features: int, units: int, iterations: int) -> Run:
    X, y = life.problem(rows, features, life.classes_of(features))
    n = share_of(iterations, "lbfgs")
    return partial(
        BackpropClassifier((units,), solver="lbfgs", max_iter=n, random_state=0).fit, X, y
    )


def fitted(classes: int) -> BackpropClassifier:
    return BackpropClassifier((100,), max_iter=1, random_state=0).fit(
        *life.problem(5000, 50, classes)
    )


def predicting(method: str, rows: int, classes: int) -> Run:
    X = np.random.default_rng(1).normal(size=(rows, 50))
    return partial(getattr(fitted(classes), method), X)


def sparse_fit() -> Run:
    X, y = life.sparse_problem()
    return partial(
        BackpropClassifier(max_iter=1, random_state=0).fit, X[:SPARSE_ROWS], y[:SPARSE_ROWS]
    )


def learning_in_parts(rows: int) -> Run:
    """Calls of ``partial_fit`` on a small batch, of a new model each time: its history grows."""
    X, y = life.problem(rows, 50, 3)

    def run() -> None:
        est = BackpropClassifier((100,), random_state=0)
        for _ in range(CALLS_IN_PARTS):
            est.partial_fit(X, y, classes=[0, 1, 2])

    return run


def of_both_types(name: str, make: Callable[[type], Run]) -> dict[str, Callable[[], Run]]:
    return {f"{name}, {np.dtype(dtype)}": partial(make, dtype) for dtype in DTYPES}


def figures_of_fit() -> dict[str, Callable[[], Run]]:
    return {
        name: make
        for work in fit.WORKLOADS
        for name, make in of_both_types(work.name, partial(fitting, work)).items()
    }


def figures_of_search() -> dict[str, Callable[[], Run]]:
    return {
        name: make
        for number, work in enumerate(search.workloads())
        for name, make in of_both_types(work.name, partial(searching, number)).items()
    }


def figures_of_life() -> dict[str, Callable[[], Run]]:
    minimized = {
        f"L-BFGS, {rows}x{features}": partial(minimizing, rows, features, units, iterations)
        for rows, features, units, iterations, _ in life.LBFGS_WORKLOADS
    }
    one_row = {
        f"{method}, one row, {classes} classes": partial(predicting, method, 1, classes)
        for classes in (2, 10)
        for method in ("predict", "predict_proba")
    }
    many_rows = {
        f"predict_proba, {MANY_ROWS} rows, {classes} classes": partial(
            predicting, "predict_proba", MANY_ROWS, classes
        )
        for classes in (3, 10)
    }
    others = {"sparse rows": sparse_fit, "partial_fit, 32 rows": partial(learning_in_parts, 32)}
    return {**minimized, **one_row, **many_rows, **others}


GROUPS = {"fit": figures_of_fit, "search": figures_of_search, "life": figures_of_life}


@cache
def figures(groups: tuple[str, ...] = tuple(GROUPS)) -> dict[str, Callable[[], Run]]:
    """What makes each figure's run, by "group: name"."""
    return {f"{group}: {name}": make for group in groups for name, make in GROUPS[group]().items()}


@cache
def run_of(name: str) -> Run:
    return figures()[name]()


def timed(name: str, times: int) -> tuple[float, float]:
    run = run_of(name)
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(times):
        run()
    return time.perf_counter() - wall, time.process_time() - processor


def main(tree: str) -> None:
    check_imported_from(tree)
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        times, _, name = line.strip().partition(" ")
        print(*timed(name, int(times)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
