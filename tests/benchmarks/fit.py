"""Fit, one thread: scikit-learn, PyTorch if it is installed, the bare matrix products, ours."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from contest import Run, head, row, seconds, title
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from bpestimator import BackpropClassifier


class Workload(NamedTuple):
    name: str
    rows: int
    sizes: tuple[int, ...]  # inputs, hidden layers, classes
    batch: int
    epochs: int
    floor: float  # times scikit-learn's speed that are promised, in float64
    goal: float


WORKLOADS = (
    Workload("150x4, 100 units, batch 50", 150, (4, 100, 3), 50, 200, 4.5, 6.0),
    Workload("20000x50, 100 units, batch 200", 20000, (50, 100, 10), 200, 5, 2.3, 2.7),
    Workload("784-256-128-10, batch 128", 6000, (784, 256, 128, 10), 128, 4, 1.2, 1.3),
    Workload("100-512-512-10, batch 512", 5120, (100, 512, 512, 10), 512, 4, 1.2, 1.25),
)


def fit_with(estimator: type, work: Workload, X: np.ndarray, y: np.ndarray) -> Run:
    return lambda: estimator(
        work.sizes[1:-1],
        batch_size=work.batch,
        max_iter=work.epochs,
        n_iter_no_change=np.inf,
        random_state=0,
    ).fit(X, y)


def fit_with_torch(work: Workload, X: np.ndarray, y: np.ndarray, *, fused: bool) -> Run:
    """The same network, batches, optimizer and penalty, as one writes them in PyTorch."""
    import torch

    inputs, labels = torch.from_numpy(X), torch.from_numpy(y)

    def fit() -> None:
        layers: list[torch.nn.Module] = []
        for fan_in, fan_out in pairwise(work.sizes):
            layers += [torch.nn.Linear(fan_in, fan_out, dtype=inputs.dtype), torch.nn.ReLU()]
        net = torch.nn.Sequential(*layers[:-1])
        optimizer = torch.optim.Adam(net.parameters(), weight_decay=1e-4 / work.batch, fused=fused)
        for _ in range(work.epochs):
            for rows in torch.randperm(work.rows).split(work.batch):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(net(inputs[rows]), labels[rows]).backward()
                optimizer.step()

    return fit


def bare_products(work: Workload, dtype: type) -> Run:
    """The matrix products of a fit and nothing else, on arrays of the right shapes."""
    rng = np.random.default_rng(0)
    activations = [rng.normal(size=(work.batch, width)).astype(dtype) for width in work.sizes]
    weights = [rng.normal(size=pair).astype(dtype) for pair in pairwise(work.sizes)]
    grads = [np.empty_like(w) for w in weights]
    steps = work.epochs * -(-work.rows // work.batch)

    def multiply() -> None:
        for _ in range(steps):
            for k, w in enumerate(weights):
                activations[k].dot(w, activations[k + 1])
            for k in range(len(weights) - 1, -1, -1):
                activations[k].T.dot(activations[k + 1], grads[k])
                if k:
                    activations[k + 1].dot(weights[k].T, activations[k])

    return multiply


def main(repeats: int = 7) -> None:
    try:
        import torch
    except ImportError:
        torch = None
        torch_version = "PyTorch is not installed: pip install torch==2.13.0"
    else:
        torch.set_num_threads(1)
        torch_version = f"PyTorch {torch.__version__}"
    for dtype in (np.float64, np.float32):
        title(f"Fit, {np.dtype(dtype)}, one thread ({torch_version})")
        head(
            "workload", "ours", "scikit-learn / ours", "floor", "goal",
            "torch eager / ours", "torch fused / ours", "ours / bare products",
        )  # fmt: skip
        for work in WORKLOADS:
            rng = np.random.default_rng(0)
            X = rng.normal(size=(work.rows, work.sizes[0])).astype(dtype)
            y = rng.integers(work.sizes[-1], size=work.rows)
            contestants = [
                fit_with(BackpropClassifier, work, X, y),
                fit_with(MLPClassifier, work, X, y),
                bare_products(work, dtype),
            ]
            if torch is not None:
                contestants += [fit_with_torch(work, X, y, fused=fused) for fused in (False, True)]
            with threadpool_limits(1):
                ours, theirs, products, *torches = seconds(contestants, repeats)
            eager, fused = (t / ours for t in torches) if torches else ("-", "-")
            bars = (work.floor, work.goal) if dtype is np.float64 else ("-", "-")
            row(work.name, f"{ours:.3f} s", theirs / ours, *bars, eager, fused, ours / products)


if __name__ == "__main__":
    main()
