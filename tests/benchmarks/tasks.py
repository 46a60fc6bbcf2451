"""What rates.py learns: data sets, each with its splits and networks, and their epochs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from bpestimator import BackpropClassifier, BackpropRegressor

SEEDS = (0, 1, 2)
HIDDEN = ((64,), (64, 64))
MAX_ROWS = 2000
BATCH = 200  # MLP's

Part = tuple[np.ndarray, np.ndarray]


class Source(NamedTuple):
    name: str
    X: np.ndarray
    y: np.ndarray
    is_classes: bool


class Task(NamedTuple):
    name: str
    n_classes: int  # 0 for a regression
    seed: int
    hidden: tuple[int, ...]
    epochs: int
    train: Part
    validation: Part
    test: Part

    @property
    def key(self) -> tuple[Any, ...]:
        return self.name, self.seed, self.hidden, self.epochs

    @property
    def fit_steps(self) -> int:
        return steps(len(self.train[1]), self.epochs)

    def net(self, **params: Any) -> Any:
        """An untrained network whose fit takes ``epochs``, whatever happens."""
        kind = BackpropClassifier if self.n_classes else BackpropRegressor
        params = {"max_iter": self.epochs, "random_state": self.seed, **params}
        return kind(hidden_layer_sizes=self.hidden, tol=0, n_iter_no_change=np.inf, **params)

    def learn(self, net: Any, X: np.ndarray, y: np.ndarray) -> Any:
        """One epoch of ``partial_fit``."""
        return net.partial_fit(X, y, **({"classes": self.classes} if self.n_classes else {}))

    @property
    def classes(self) -> np.ndarray:
        return np.arange(self.n_classes)


def steps(rows: int, epochs: int) -> int:
    return epochs * -(-rows // BATCH)


def bundled() -> Iterator[Source]:
    for name in ("iris", "wine", "breast_cancer", "digits"):
        yield Source(name, *getattr(datasets, f"load_{name}")(return_X_y=True), True)
    yield Source("diabetes", *datasets.load_diabetes(return_X_y=True), False)
    yield Source("friedman1", *datasets.make_friedman1(1500, noise=1.0, random_state=0), False)
    linear = datasets.make_regression(1000, 20, n_informative=10, noise=50.0, random_state=0)
    yield Source("linear", *linear, False)
    for name, n, n_classes, flipped in (("blobs", 1500, 5, 0.02), ("noisy_blobs", 800, 2, 0.2)):
        drawn = datasets.make_classification(
            n, 20, n_informative=10, n_classes=n_classes, flip_y=flipped, random_state=0
        )
        yield Source(name, *drawn, True)


def tables(folder: Path) -> Iterator[Source]:
    import pandas as pd

    manifest = next(path for path in (folder, folder.parent) if (path / "manifest.json").exists())
    for about in json.loads((manifest / "manifest.json").read_text()):
        frame = pd.read_csv(folder / about["file"])
        y = frame.pop(about["target"]).to_numpy()
        words = about["categorical_columns"]
        numbers = frame.columns.difference(words)
        frame[numbers] = frame[numbers].apply(pd.to_numeric, errors="coerce")
        frame[numbers] = frame[numbers].fillna(frame[numbers].median())
        frame[words] = frame[words].astype(object).fillna("?").astype(str)
        X = pd.get_dummies(frame, columns=words).to_numpy(float)
        yield Source(about["name"], X, y, about["task"] != "regression")


def task_of(source: Source, seed: int, hidden: tuple[int, ...], epochs: int) -> Task:
    rows = np.random.default_rng(seed).permutation(len(source.y))[:MAX_ROWS]
    X, y = source.X[rows], source.y[rows]
    if source.is_classes:
        classes, y = np.unique(y, return_inverse=True)
    train, rest = split(X, y, 0.6, source.is_classes, seed)
    validation, test = split(*rest, 0.5, source.is_classes, seed)
    scale = StandardScaler().fit(train[0])
    mean, std = (0, 1) if source.is_classes else (train[1].mean(), train[1].std())
    parts = [
        (scale.transform(X), y if source.is_classes else (y - mean) / std)
        for X, y in (train, validation, test)
    ]
    return Task(source.name, len(classes) if source.is_classes else 0, seed, hidden, epochs, *parts)


def split(X: np.ndarray, y: np.ndarray, size: float, stratify: bool, seed: int) -> list[Part]:
    X1, X2, y1, y2 = train_test_split(
        X, y, train_size=size, stratify=y if stratify else None, random_state=seed
    )
    return [(X1, y1), (X2, y2)]


def all_tasks(folder: Path | None, epochs: int) -> list[Task]:
    sources = [*bundled(), *(tables(folder) if folder else ())]
    return [
        task_of(source, seed, hidden, epochs)
        for source in sources
        for seed in SEEDS
        for hidden in HIDDEN
    ]
