"""How time and memory grow with rows, features, width and depth."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
import warnings

import numpy as np
from contest import head, row, title
from fit import Workload, bare_products, fit_with
from sklearn.neural_network import MLPClassifier

from bpestimator import BackpropClassifier

ESTIMATORS = {"ours": BackpropClassifier, "scikit-learn": MLPClassifier}

# rows, features, hidden layers
CASES = (
    *((rows, 50, (100,)) for rows in (1_000, 10_000, 100_000, 1_000_000)),
    *((10_000, features, (100,)) for features in (5, 500, 2000)),
    *((10_000, 50, (width,)) for width in (10, 1000)),
    *((10_000, 50, (100,) * depth) for depth in (2, 4, 8)),
)


def measure(who: str, rows: int, features: int, hidden: tuple[int, ...]) -> None:
    """Print seconds and the growth of the peak memory of one epoch, in a process of its own."""
    warnings.simplefilter("ignore")
    work = Workload("", rows, (features, *hidden, 10), 200, 1, 0, 0)
    if who == "bare products":
        multiply = bare_products(work, np.float64)
        multiply()
        start = time.perf_counter()
        multiply()
        print(time.perf_counter() - start, 0)
        return
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(rows, features)), rng.integers(10, size=rows)
    fit_with(ESTIMATORS[who], work._replace(rows=500), X[:500], y[:500])()  # imports and caches
    fit = fit_with(ESTIMATORS[who], work, X, y)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    fit()
    taken = time.perf_counter() - start
    print(taken, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3)


def measured(who: str, rows: int, features: int, hidden: tuple[int, ...]) -> tuple[float, float]:
    arguments = [who, str(rows), str(features), ",".join(map(str, hidden))]
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    taken, grown = map(float, done.stdout.split())
    return taken, grown


def main() -> None:
    title("Growth: one epoch in batches of 200, one thread, float64")
    print("Memory is what the fit adds to the process's peak, which holds the rows already.\n")
    head(
        "rows", "features", "hidden", "rows as an array",
        "ours", "scikit-learn", "bare products", "ours, memory", "scikit-learn, memory",
    )  # fmt: skip
    for rows, features, hidden in CASES:
        ours, mlp, bare = (
            measured(who, rows, features, hidden)
            for who in ("ours", "scikit-learn", "bare products")
        )
        shape = "-".join(map(str, hidden))
        row(
            f"{rows:,}", features, shape, f"{rows * features * 8 / 1e6:.1f} MB",
            f"{ours[0]:.3f} s", f"{mlp[0]:.3f} s", f"{bare[0]:.3f} s",
            f"{ours[1]:.0f} MB", f"{mlp[1]:.0f} MB",
        )  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) > 1:
        who, rows, features, hidden = sys.argv[1:]
        measure(who, int(rows), int(features), tuple(map(int, hidden.split(","))))
    else:
        main()
