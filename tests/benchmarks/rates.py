"""Rules for the learning rate: points of test score lost against a search, and what they cost.

    python tests/benchmarks/rates.py [--data DIR] [--epochs 60] [--cache FILE]

A task is a data set, one of three splits (60 % to train, 20 % to validate, 20 % to test) and a
network of one or two layers of 64 units, trained by Adam for a fixed number of epochs at a
constant rate; the rest is as MLP has it. Data sets are scikit-learn's own and, from ``--data``,
the CSV files that a manifest.json in the folder or above it lists ("file", "target", "task",
"categorical_columns"); at most 2000 rows of each. Missing numbers become the median, categories
one column each (a missing one too); X, and y of a regression, are standardised by the training
part.

The reference is the best of 13 constant rates, from 1e-4 to 1, by validation score. Regret is
its test score minus the rule's, in points: 100 times accuracy, or R2 where at least 0. A fit that
diverges scores as a constant prediction does. A rule sees the training part alone. Its cost is
in fits, the final one included: steps taken, over the steps of one fit. "worst set" is the
largest regret of a data set, the mean of its six tasks: one test row of a small set is points.

``--cache`` keeps the scores of whole fits in a file, for the next run.
"""

from __future__ import annotations

import argparse
import pickle
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from contest import head, row, title
from sklearn.metrics import log_loss, mean_squared_error
from tasks import BATCH, Part, Task, all_tasks, split, steps
from threadpoolctl import threadpool_limits

from bpestimator.estimators.fitting import rate_finder

GRID = np.logspace(-4, 0, 13)


class Pick(NamedTuple):
    """What a rule says: the rate, the steps that finding it took, the schedule to train with."""

    rate: float
    steps: int = 0
    schedule: str = "constant"


Rule = Callable[[Task], Pick]


# What a network is worth


def points(net: Any, part: Part) -> float:
    return 100 * max(0.0, net.score(*part))


def points_of_constant(task: Task, part: Part) -> float:
    if not task.n_classes:
        return 0.0
    return 100 * float(np.mean(part[1] == np.bincount(task.train[1]).argmax()))


def loss_of(task: Task, net: Any, part: Part) -> float:
    X, y = part
    if task.n_classes:
        return float(log_loss(y, net.predict_proba(X), labels=task.classes))
    return float(mean_squared_error(y, net.predict(X)))


class Fits:
    """Validation and test points of whole fits, remembered."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._known = pickle.loads(file.read_bytes()) if file and file.exists() else {}

    def __call__(self, task: Task, pick: Pick) -> tuple[float, float]:
        key = (task.key, float(f"{pick.rate:.6g}"), pick.schedule)
        if key not in self._known:
            self._known[key] = self._fit(task, pick)
        return self._known[key]

    def _fit(self, task: Task, pick: Pick) -> tuple[float, float]:
        parts = (task.validation, task.test)
        net = task.net(learning_rate_init=float(pick.rate), learning_rate=pick.schedule)
        try:
            net.fit(*task.train)
            return tuple(points(net, part) for part in parts)
        except ValueError:  # diverged
            return tuple(points_of_constant(task, part) for part in parts)

    def save(self) -> None:
        if self._file:
            self._file.write_bytes(pickle.dumps(self._known))


# Rules


def constant(task: Task, rate: float) -> Pick:
    return Pick(rate)


def range_test(
    pick: Callable[..., float], low: float, high: float, task: Task, n: int = 100, beta: float = 0.9
) -> Pick:
    """One step at each of n rising rates; ``pick`` reads the rate from the smoothed losses."""
    X, y = task.train
    size, rng = min(BATCH, len(y)), np.random.default_rng(100 * task.seed)
    rates, losses, order = np.geomspace(low, high, n), [], np.empty(0, int)
    net = task.net(batch_size=size, shuffle=False)
    for rate in rates:
        if order.size < size:
            order = np.concatenate([order, rng.permutation(len(y))])
        rows, order = order[:size], order[size:]
        net.set_params(learning_rate=float(rate))
        try:
            losses.append(task.learn(net, X[rows], y[rows]).loss_)
        except ValueError:  # diverged
            break
        curve = smoothed(losses, beta)
        if not curve[-1] < 4 * curve.min():
            break
    curve = smoothed(losses, beta)
    return Pick(pick(rates[: curve.size], curve), curve.size)


def smoothed(losses: Sequence[float], beta: float) -> np.ndarray:
    """m_k = beta m_(k-1) + (1 - beta) loss_k, over 1 - beta^k."""
    mean, means = 0.0, []
    for k, loss in enumerate(losses, start=1):
        mean = beta * mean + (1 - beta) * loss
        means.append(mean / (1 - beta**k))
    return np.array(means)


def valley(rates: np.ndarray, losses: np.ndarray) -> float:
    """Half-way down the longest decreasing subsequence, as fastai has it."""
    lengths = np.ones(losses.size, int)
    for k in range(1, losses.size):
        lengths[k] = 1 + max(lengths[:k][losses[:k] > losses[k]], default=0)
    end = lengths.argmax()
    start = end - lengths[end]
    third = (end - start) / 3
    return rates[max(0, start + int(third) + int(third / 2))]


def tenth_of_minimum(rates: np.ndarray, losses: np.ndarray) -> float:
    return rates[losses.argmin()] / 10


def steepest(rates: np.ndarray, losses: np.ndarray) -> float:
    return rates[np.gradient(losses).argmin()]


def between(rates: np.ndarray, losses: np.ndarray) -> float:
    """The geometric mean of the valley and a tenth of the minimum."""
    return np.sqrt(valley(rates, losses) * tenth_of_minimum(rates, losses))


class Race(NamedTuple):
    losses: np.ndarray  # validation loss of each rate
    scores: np.ndarray
    steps: int


_races: dict[Any, Race] = {}


def race(
    task: Task, rates: tuple[float, ...], epochs: int, schedule: str = "constant", share: float = 1
) -> Race:
    """A short fit at each rate, on 80 % of the training part, or a share of them; remembered."""
    key = (task.key, rates, epochs, schedule, share)
    if key not in _races:
        train, held_out = split(*task.train, 0.8, bool(task.n_classes), task.seed)
        rows = max(100, round(share * len(train[1])))
        if rows < len(train[1]) - 50:
            train, _ = split(*train, rows, bool(task.n_classes), task.seed)
        results = []
        for rate in rates:
            net = task.net(max_iter=epochs, learning_rate_init=rate, learning_rate=schedule)
            try:
                net.fit(*train)
                results.append((loss_of(task, net, held_out), net.score(*held_out)))
            except ValueError:  # diverged
                results.append((np.inf, -np.inf))
        taken = len(rates) * steps(len(train[1]), epochs)
        _races[key] = Race(*np.array(results).T, taken)
    return _races[key]


def rates_between(low: float, high: float, n: int) -> tuple[float, ...]:
    return tuple(float(rate) for rate in np.geomspace(low, high, n))


EIGHT = rates_between(3e-4, 0.1, 8)
SIX = rates_between(1e-3, 10 ** (-4 / 3), 6)
FIVE = rates_between(1e-3, 10**-1.4, 5)


def winner(
    task: Task,
    epochs: int,
    schedule: str = "constant",
    *,
    rates: tuple[float, ...] = EIGHT,
    share: float = 1,
    by_score: bool = False,
    divisor: float = 1,
    final: str = "constant",
) -> Pick:
    """The rate with the best validation loss, or score, divided by a number."""
    run = race(task, rates, epochs, schedule, share)
    best = run.scores.argmax() if by_score else run.losses.argmin()
    return Pick(rates[best] / divisor, run.steps, final)


def halving(task: Task, rungs: tuple[int, ...], divisor: float = 1) -> Pick:
    """After each rung, in epochs so far, the better half goes on where it is."""
    train, held_out = split(*task.train, 0.8, bool(task.n_classes), task.seed)
    nets = {
        rate: task.net(learning_rate=rate, random_state=np.random.RandomState(task.seed))
        for rate in EIGHT
    }
    done = taken = 0
    for rung in rungs:
        losses = {}
        for rate, net in nets.items():
            try:
                for _ in range(rung - done):
                    task.learn(net, *train)
                losses[rate] = loss_of(task, net, held_out)
            except ValueError:  # diverged
                losses[rate] = np.inf
        taken += len(nets) * steps(len(train[1]), rung - done)
        done = rung
        nets = {rate: nets[rate] for rate in sorted(losses, key=losses.get)[: len(nets) // 2]}
    return Pick(next(iter(nets)) / divisor, taken)


def travel(
    task: Task,
    epochs: int = 5,
    *,
    rates: tuple[float, ...] = SIX,
    slack: float = 0.1,
    factor: float = 5,
    smooth: bool = True,
) -> Pick:
    """The smallest rate that nearly wins a short race, scaled to the length of the fit.

    Nearly: its log validation loss, averaged 1:2:1 with its neighbours', is at most ``slack``
    above the least. Scaled: rate times epochs, which bounds how far Adam travels, is to be
    ``factor`` times what it was in the race; the rate never rises.
    """
    run = race(task, rates, epochs)
    logs = np.log(np.clip(run.losses, 1e-12, 1e9))
    if smooth:
        logs = np.convolve(np.pad(logs, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    first = np.argmax(logs <= logs.min() + slack)
    return Pick(rates[first] * min(1, factor * epochs / task.epochs), run.steps)


def built_in(task: Task) -> Pick:
    """What ``learning_rate_init="auto"`` finds."""
    taken = 0

    def counted(*args: Any) -> Any:
        nonlocal taken
        trials = attempt(*args)
        taken += len(trials.losses) * trials.n_steps
        return trials

    attempt = rate_finder._try
    with patch.object(rate_finder, "_try", counted):
        found = task.net(learning_rate_init="auto").fit(*task.train).learning_rate_
    return Pick(found, taken)


RULES: dict[str, Rule] = {
    **{f"constant {r:.2g}": partial(constant, rate=r) for r in (1e-3, *GRID[4:6], 1e-2)},
    **{
        f"range test {low:g}..{high:g}, {pick.__name__}": partial(range_test, pick, low, high)
        for low, high in ((1e-6, 10), (1e-5, 1))
        for pick in (valley, tenth_of_minimum, between, steepest)
    },
    "race, 10 epochs of cosine": lambda task: winner(task, 10, "cosine"),
    "same, by score": lambda task: winner(task, 10, "cosine", by_score=True),
    "same, a fifth of the rows": lambda task: winner(task, 10, "cosine", share=0.2),
    "race, 5 epochs of cosine": lambda task: winner(task, 5, "cosine"),
    "same, / 4": lambda task: winner(task, 5, "cosine", divisor=4),
    "same, fit with cosine": lambda task: winner(task, 5, "cosine", final="cosine"),
    "race, 10 epochs": lambda task: winner(task, 10),
    "race, 10 epochs, / 4": lambda task: winner(task, 10, divisor=4),
    "race, 10 epochs, fit with cosine": lambda task: winner(task, 10, final="cosine"),
    "halving at 2, 4, 8 epochs": lambda task: halving(task, (2, 4, 8)),
    "halving at 2, 4, 8 epochs, / 4": lambda task: halving(task, (2, 4, 8), divisor=4),
    "halving at 7, 15, 30 epochs": lambda task: halving(task, (7, 15, 30)),
    "travel, no slack": lambda task: travel(task, slack=0),
    "travel, not smoothed": lambda task: travel(task, smooth=False),
    "travel, not scaled": lambda task: travel(task, factor=np.inf),
    "travel, slack 0.05": lambda task: travel(task, slack=0.05),
    "travel, slack 0.2": lambda task: travel(task, slack=0.2),
    "travel, 3 epochs": lambda task: travel(task, 3),
    "travel, 7 epochs": lambda task: travel(task, 7),
    "travel, 5 epochs": travel,
    "travel, 4 epochs": lambda task: travel(task, 4, factor=25 / 4),
    "travel, 4 epochs, five rates": lambda task: travel(task, 4, factor=25 / 4, rates=FIVE),
    "**'auto', which is travel built in**": built_in,
}


# The table


class Regrets(NamedTuple):
    costs: np.ndarray
    points: np.ndarray  # of each task


def regrets(rule: Rule, tasks: list[Task], best: np.ndarray, fits: Fits) -> Regrets:
    picks = [rule(task) for task in tasks]
    scores = [fits(task, pick)[1] for task, pick in zip(tasks, picks, strict=True)]
    costs = [1 + pick.steps / task.fit_steps for task, pick in zip(tasks, picks, strict=True)]
    return Regrets(np.array(costs), best - scores)


def best_of_grid(task: Task, fits: Fits) -> float:
    """Test points of the rate with the most validation points."""
    return max((fits(task, Pick(rate)) for rate in GRID), key=lambda scores: scores[0])[1]


def main(data: Path | None = None, epochs: int = 60, file: Path | None = None) -> None:
    tasks = all_tasks(data, epochs)
    fits = Fits(file)
    best = np.array([best_of_grid(task, fits) for task in tasks])
    names = np.array([task.name for task in tasks])
    default = regrets(partial(constant, rate=1e-3), tasks, best, fits)
    title(f"Regret of rules for the rate: {len(set(names))} data sets, {epochs} epochs")
    head("rule", "cost", "mean", "p90", "worst", "worst set", "mean of 1e-3 minus mean")
    for name, rule in RULES.items():
        costs, lost = regrets(rule, tasks, best, fits)
        fits.save()
        of_sets = {name: lost[names == name].mean() for name in names}
        worst = max(of_sets, key=of_sets.get)
        row(
            name,
            *(f"{x:.2f}" for x in (costs.mean(), lost.mean(), np.quantile(lost, 0.9), lost.max())),
            f"{of_sets[worst]:.2f} ({worst})",
            f"{default.points.mean() - lost.mean():.2f}",
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of CSV files")
    parser.add_argument("--epochs", type=int, default=60, help="of a fit")
    parser.add_argument("--cache", type=Path, help="where to keep scores between runs")
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        main(wanted.data, wanted.epochs, wanted.cache)
