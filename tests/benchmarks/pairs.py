"""Whether the working tree is slower than a commit: both in turn, figure by figure.

    python tests/benchmarks/pairs.py BASE [fit] [search] [life] [--pairs N] [--only TEXT] [--wall]

Each tree has a process of its own, with one BLAS thread, that is told to make single runs; the
order within a pair alternates. A few times the processes are started anew: where memory happens
to lie makes one process faster than another. The ratio new / old is the median over the pairs,
with an interval from the order statistics that holds the true median with a probability of 95 %
or more, whatever the distribution. A figure is SLOWER where the whole interval lies above 1.02;
then the exit code is 1. Seconds are the processor's, which others on the machine disturb less:
between equal trees, intervals reach from 0.99 to 1.01. ``--wall`` compares those of the wall clock.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import binom

HERE = Path(__file__).parent
sys.path[1:1] = [str(HERE.parent), str(HERE.parents[1])]  # ours before any installed package

from contest import head, machine, row  # noqa: E402
from figures import GROUPS, figures  # noqa: E402
from trees import ROOT, checked_out, environment  # noqa: E402

SLOWER = 1.02
CONFIDENCE = 0.95
SHORTEST = 0.1  # seconds of a run; of shorter ones several make one
ROUNDS = 5  # of processes
FEWEST = 6  # pairs


class Interval(NamedTuple):
    median: float
    low: float
    high: float
    coverage: float


def interval_of_median(values: Sequence[float]) -> Interval:
    """Between the k-th smallest and the k-th largest, for the largest k that covers enough.

    >>> interval_of_median([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    Interval(median=3.5, low=1.0, high=6.0, coverage=0.96875)
    """
    ordered, n = np.sort(values).tolist(), len(values)
    k = max(int(binom.ppf((1 - CONFIDENCE) / 2, n, 0.5)), 1)
    coverage = 1 - 2 * float(binom.cdf(k - 1, n, 0.5))
    return Interval(float(np.median(ordered)), ordered[k - 1], ordered[n - k], coverage)


class Worker:
    """A process that has imported one tree, and makes runs when it is told to."""

    def __init__(self, tree: Path, cpu: bool) -> None:
        self._cpu = cpu
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "figures.py"), str(tree)],
            env=environment(tree),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self, name: str, times: int = 1) -> float:
        """What so many runs of a figure took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(times, name, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline().split()
        if not answer:
            sys.exit(f"The worker has failed at {name!r}.")
        return float(answer[self._cpu])

    def end(self) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait()


@contextmanager
def workers(trees: Sequence[Path], cpu: bool) -> Iterator[list[Worker]]:
    started = [Worker(tree, cpu) for tree in trees]
    try:
        yield started
    finally:
        for worker in started:
            worker.end()


class Pairs:
    """The seconds of one figure, in the old tree and in the new one."""

    def __init__(self, name: str) -> None:
        self.name, self.times = name, 0
        self.seconds: list[tuple[float, float]] = []

    def add(self, old: Worker, new: Worker, count: int) -> None:
        """Run so many pairs."""
        for worker in (old, new):
            worker.seconds(self.name)  # caches, and what is made on first use
        self.times = self.times or self._times(old)
        for _ in range(count):
            old_first = len(self.seconds) % 2 == 0
            order = (old, new) if old_first else (new, old)
            taken = [worker.seconds(self.name, self.times) for worker in order]
            self.seconds.append((taken[0], taken[1]) if old_first else (taken[1], taken[0]))

    def _times(self, worker: Worker) -> int:
        """How many runs take as long as a run should."""
        times = 1
        while (taken := worker.seconds(self.name, times)) < SHORTEST / 4:
            times *= 4
        return ceil(times * SHORTEST / taken)

    def report(self) -> bool:
        """A row of the table; whether the figure is slower."""
        found = interval_of_median([new / old for old, new in self.seconds])
        is_slower = found.low > SLOWER
        old, new = (np.median(taken) / self.times for taken in zip(*self.seconds, strict=True))
        row(
            self.name, f"{1e3 * old:.3f} ms", f"{1e3 * new:.3f} ms", f"{found.median:.3f}",
            f"{found.low:.3f} to {found.high:.3f}", "SLOWER" if is_slower else "",
        )  # fmt: skip
        return is_slower


def shares(pairs: int) -> list[int]:
    """How many pairs each round has."""
    return [len(part) for part in np.array_split(np.arange(pairs), ROUNDS) if len(part)]


def measure(base: Path, names: Sequence[str], pairs: int, cpu: bool) -> list[Pairs]:
    measured = [Pairs(name) for name in names]
    for number, count in enumerate(shares(pairs), 1):
        with workers([base, ROOT], cpu) as (old, new):
            for one in measured:
                print(f"\rround {number} of {ROUNDS}: {one.name:<60}", end="", file=sys.stderr)
                one.add(old, new, count)
    print(file=sys.stderr)
    return measured


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("groups", nargs="*", metavar="group", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--only", default="", help="measure figures whose names have this text")
    parser.add_argument("--wall", action="store_true", help="compare the wall clock's seconds")
    wanted = parser.parse_args()
    if unknown := set(wanted.groups) - set(GROUPS):
        parser.error(f"no group {', '.join(unknown)}: choose from {', '.join(GROUPS)}")
    if wanted.pairs < FEWEST:
        parser.error(f"--pairs must be at least {FEWEST}: fewer give no interval of 95 %")
    return wanted


def main() -> int:
    wanted = arguments()
    groups = tuple(wanted.groups) or tuple(GROUPS)
    names = [name for name in figures(groups) if wanted.only in name]
    with checked_out(wanted.base) as base:
        measured = measure(base, names, wanted.pairs, not wanted.wall)
    print(f"{machine()}\n")
    head("figure", "old", "new", "new / old", "95 % interval", "")
    slower = [one.name for one in measured if one.report()]
    print(f"\n{len(slower)} of {len(measured)} figures are slower; {wanted.pairs} pairs each.")
    return int(bool(slower))


if __name__ == "__main__":
    sys.exit(main())
