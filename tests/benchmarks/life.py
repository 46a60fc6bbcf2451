"""The rest of an estimator's life: L-BFGS, predictions, sparse rows, a busy machine."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from typing import Any

import numpy as np
import scipy.sparse as sp
from contest import Run, head, row, seconds, title
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from bpestimator import BackpropClassifier

BOTH = (MLPClassifier, BackpropClassifier)
# rows, features, units, iterations, goal
LBFGS_WORKLOADS = (
    (150, 4, 100, 200, 1.3),
    (1797, 64, 100, 60, 1.3),
    (5000, 20, 64, 60, 2.5),
    (20000, 50, 100, 25, 2.5),
)


def problem(rows: int, features: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, features)), rng.integers(classes, size=rows)


def classes_of(features: int) -> int:
    return 3 if features == 4 else 10


def sparse_problem() -> tuple[Any, np.ndarray]:
    X = sp.random(20_000, 10_000, density=0.005, format="csr", random_state=0)
    return X, np.random.default_rng(0).integers(10, size=20_000)


def fit_of(est: Any, X: Any, y: np.ndarray) -> Run:
    return lambda: est.fit(X, y)


def lbfgs() -> None:
    title("L-BFGS, one thread")
    head("workload", "ours", "scikit-learn / ours", "goal", "difference of the losses")
    for rows, features, units, iterations, goal in LBFGS_WORKLOADS:
        X, y = problem(rows, features, classes_of(features))
        params = {"solver": "lbfgs", "max_iter": iterations, "random_state": 0}
        fits = [fit_of(est((units,), **params), X, y) for est in BOTH]
        with threadpool_limits(1):
            theirs, ours = seconds(fits, 3)
            losses = [fit().loss_ for fit in fits]
        name = f"{rows}x{features}, {units} units"
        row(name, f"{ours:.3f} s", theirs / ours, goal, abs(losses[0] - losses[1]))


def predictions() -> None:
    title("Predictions, 50-100-k")
    head("what", "threads", "ours", "scikit-learn / ours", "goal", "memory beside the result")
    many = np.random.default_rng(1).normal(size=(1_000_000, 50))
    for classes in (3, 10):
        mlp, ours = (est((100,), max_iter=1).fit(*problem(5000, 50, classes)) for est in BOTH)
        for threads in (1, 2):
            with threadpool_limits(threads):
                taken = seconds([lambda est=est: est.predict_proba(many) for est in (mlp, ours)], 3)
                tracemalloc.start()
                result = ours.predict_proba(many)
                extra = (tracemalloc.get_traced_memory()[1] - result.nbytes) / 1e6
                tracemalloc.stop()
            row(
                f"predict_proba, 1e6 rows, {classes} classes", threads,
                f"{taken[1]:.2f} s", taken[0] / taken[1], 4, f"{extra:.0f} MB",
            )  # fmt: skip
    for classes in (2, 10):
        mlp, ours = (est((100,), max_iter=1).fit(*problem(5000, 50, classes)) for est in BOTH)
        for method in ("predict_proba", "predict"):
            calls = [getattr(est, method) for est in (mlp, ours)]
            taken = seconds([lambda c=c: [c(many[:1]) for _ in range(500)] for c in calls], 7)
            name = f"{method}, one row, {classes} classes"
            row(name, 1, f"{taken[1] * 2000:.0f} us", taken[0] / taken[1], 10, "-")


def sparse() -> None:
    title("Sparse rows: 20000x10000 CSR, 50 non-zeros a row, 100 units, an epoch, one thread")
    X, y = sparse_problem()
    with threadpool_limits(1):
        theirs, ours = seconds([lambda est=est: est(max_iter=1).fit(X, y) for est in BOTH], 3)
        tracemalloc.start()
        BackpropClassifier(max_iter=1).fit(X, y)
        peak = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
    head("ours", "scikit-learn / ours", "goal", "memory", "the rows as a dense array")
    row(
        f"{ours:.2f} s",
        theirs / ours,
        2,
        f"{peak:.0f} MB",
        f"{X.shape[0] * X.shape[1] * 8 / 1e6:.0f} MB",
    )


def busy() -> None:
    title("A busy machine: a fit with the default threads, alone and beside a spinning process")
    head("workload", "ours", "ours, busy", "slower by", "scikit-learn", "busy", "slower by")
    for rows, features, units, batch in (
        (150, 4, 100, 50),
        (1797, 64, 100, 200),
        (4000, 100, 200, 200),
    ):
        X, y = problem(rows, features, 10)
        params = {"batch_size": batch, "max_iter": 10, "n_iter_no_change": np.inf}
        fits = [fit_of(est((units, units), **params), X, y) for est in BOTH]
        theirs, ours = seconds(fits, 5)
        spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            theirs_busy, ours_busy = seconds(fits, 5)
        finally:
            spinning.kill()
            spinning.wait()
        row(
            f"{rows}x{features}, {units}-{units} units", f"{ours:.3f} s", f"{ours_busy:.3f} s",
            ours_busy / ours, f"{theirs:.3f} s", f"{theirs_busy:.3f} s", theirs_busy / theirs,
        )  # fmt: skip


def main() -> None:
    lbfgs()
    predictions()
    sparse()
    busy()


if __name__ == "__main__":
    main()
