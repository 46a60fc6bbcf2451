"""Five rates on five folds, scoring and refit included: in lockstep beside one after the other."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from contest import head, row, seconds, title
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, make_classification
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_limits

from bpestimator import BackpropClassifier, LockstepGridSearchCV

RATES = {"learning_rate_init": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]}


class Workload(NamedTuple):
    """Data, the network, and how many times as fast as GridSearchCV over MLPClassifier."""

    name: str
    data: tuple[Any, Any]
    net: dict[str, Any]
    goal: float | None


def made(rows: int, features: int) -> tuple[Any, Any]:
    return make_classification(rows, features, n_informative=features // 2, random_state=0)


def workloads() -> list[Workload]:
    hidden = "hidden_layer_sizes"
    return [
        Workload(
            "iris, 100 units, batch 32",
            load_iris(return_X_y=True),
            {"batch_size": 32, "max_iter": 200},
            10,
        ),
        Workload(
            "breast cancer, 32-32, batch 32",
            load_breast_cancer(return_X_y=True),
            {hidden: (32, 32), "batch_size": 32, "max_iter": 60},
            8,
        ),
        Workload("5000x20, 64 units", made(5000, 20), {hidden: (64,), "max_iter": 20}, 4.3),
        Workload("digits, 100 units", load_digits(return_X_y=True), {"max_iter": 30}, 2.3),
        Workload("20000x50, 100 units", made(20000, 50), {"max_iter": 6}, 2.8),
        Workload("4000x100, 256-128", made(4000, 100), {hidden: (256, 128), "max_iter": 5}, None),
    ]


def main() -> None:
    """One row a workload, for both float types."""
    for dtype in (np.float64, np.float32):
        title(f"Whole searches, {np.dtype(dtype)}, one thread: times as fast")
        head("workload", "seconds", "GridSearchCV over ours", "over MLPClassifier", "goal")
        for name, (X, y), net, goal in workloads():
            X = scale(X).astype(dtype)
            fixed = {**net, "n_iter_no_change": np.inf, "random_state": 0}
            searches = [
                LockstepGridSearchCV(BackpropClassifier(**fixed), RATES),
                GridSearchCV(BackpropClassifier(**fixed), RATES),
                GridSearchCV(MLPClassifier(**fixed), RATES),
            ]
            with threadpool_limits(1):
                lockstep, ours, mlp = seconds([partial(s.fit, X, y) for s in searches], 3)
            row(name, lockstep, ours / lockstep, mlp / lockstep, goal or "at least ours")
