"""Time of fit against scikit-learn's MLPClassifier and against the bare matrix products.

    python tests/benchmarks/fit.py

One BLAS thread; the contestants take turns in one process and the fastest of several runs
counts, so that whatever else the machine does falls on all of them alike. Trust ratios.
"""

from __future__ import annotations

import argparse
import platform
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy
import sklearn
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_info, threadpool_limits

from bpestimator import BackpropClassifier


class Workload(NamedTuple):
    name: str
    rows: int
    sizes: tuple[int, ...]  # inputs, hidden layers, classes
    batch: int
    epochs: int
    floor: float  # times scikit-learn's speed that are promised
    goal: float


WORKLOADS = (
    Workload("150x4, 100 units, batch 50", 150, (4, 100, 3), 50, 200, 4.5, 6.0),
    Workload("20000x50, 100 units, batch 200", 20000, (50, 100, 10), 200, 5, 2.3, 2.7),
    Workload("784-256-128-10, batch 128", 6000, (784, 256, 128, 10), 128, 4, 1.2, 1.3),
    Workload("100-512-512-10, batch 512", 5120, (100, 512, 512, 10), 512, 4, 1.2, 1.25),
)


def fit_with(estimator: type, work: Workload, X: np.ndarray, y: np.ndarray) -> Callable:
    def fit() -> None:
        estimator(
            work.sizes[1:-1],
            batch_size=work.batch,
            max_iter=work.epochs,
            n_iter_no_change=np.inf,
            random_state=0,
        ).fit(X, y)

    return fit


def bare_products(work: Workload, dtype: type) -> Callable:
    """The matrix products of a fit and nothing else, on arrays of the right shapes."""
    rng = np.random.default_rng(0)
    batch, pairs = work.batch, list(pairwise(work.sizes))
    activations = [rng.normal(size=(batch, width)).astype(dtype) for width in work.sizes]
    weights = [rng.normal(size=pair).astype(dtype) for pair in pairs]
    grads = [np.empty_like(w) for w in weights]
    steps = work.epochs * -(-work.rows // batch)

    def multiply() -> None:
        for _ in range(steps):
            for k, w in enumerate(weights):
                activations[k].dot(w, activations[k + 1])
            for k in range(len(weights) - 1, -1, -1):
                activations[k].T.dot(activations[k + 1], grads[k])
                if k:
                    activations[k + 1].dot(weights[k].T, activations[k])

    return multiply


def fastest(contestants: list[Callable], repeats: int) -> list[float]:
    """Seconds of the fastest of several interleaved runs of each."""
    times: list[list[float]] = [[] for _ in contestants]
    for _ in range(repeats):
        for taken, run in zip(times, contestants, strict=True):
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
    return [min(taken) for taken in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--dtype", choices=["float64", "float32"], default="float64")
    options = parser.parse_args()
    dtype = np.dtype(options.dtype).type
    warnings.simplefilter("ignore")
    libraries = [info for info in threadpool_info() if info["user_api"] == "blas"]
    blas = next((info for info in libraries if "numpy" in info["filepath"]), libraries[0])
    print(
        f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, "
        f"scikit-learn {sklearn.__version__}, {blas['internal_api']} {blas['version']} "
        f"({blas.get('architecture')}), one thread, {options.dtype}"
    )
    print(
        f"{'workload':<32}{'MLP s':>8}{'ours s':>8}{'products':>9}"
        f"{'speed-up':>10}{'floor':>7}{'goal':>6}{'over products':>15}"
    )
    for work in WORKLOADS:
        rng = np.random.default_rng(0)
        X = rng.normal(size=(work.rows, work.sizes[0])).astype(dtype)
        y = rng.integers(work.sizes[-1], size=work.rows)
        contestants = [
            fit_with(MLPClassifier, work, X, y),
            fit_with(BackpropClassifier, work, X, y),
            bare_products(work, dtype),
        ]
        with threadpool_limits(1):
            theirs, ours, products = fastest(contestants, options.repeats)
        print(
            f"{work.name:<32}{theirs:>8.3f}{ours:>8.3f}{products:>9.3f}"
            f"{theirs / ours:>9.2f}x{work.floor:>7}{work.goal:>6}{ours / products:>14.2f}x"
        )


if __name__ == "__main__":
    main()
