"""Jobs: divide groups of requests among processes, and run them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, pairwise
from math import ceil
from typing import NamedTuple

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from bpestimator.estimators import batch_size_of
from bpestimator.lockstep.grouping import SMALLEST_GROUP, grouped
from bpestimator.lockstep.nested import network_of
from bpestimator.lockstep.requests import Alone, FitRequest, Fitted
from bpestimator.lockstep.training import ListenerOf, by_rows, fit_group

# To start a process and send it the data pays off only for this many seconds of work.
SECONDS_WORTH_A_PROCESS = 0.5
# The time of a step apart from its matrix products, divided by the models of a group.
SECONDS_PER_STEP = 2e-5
# Multiplications for each weight, row and epoch: one forward, two for the gradients.
PRODUCTS_PER_WEIGHT = 3
# Multiplications in a second, on one core of a usual computer.
PRODUCTS_PER_SECOND = 3e9


class Plan(NamedTuple):
    """Which requests train in lockstep, and in which job.

    jobs : the numbers of the requests of each job; a job is one call of ``fit_group``
    alone : for each number of a request that trains alone, the reason
    n_groups : the number of groups; a group may be split into several jobs
    """

    jobs: list[list[int]]
    alone: dict[int, str]
    n_groups: int

    @property
    def reasons(self) -> Counter[str]:
        """For each reason, the number of requests that train alone."""
        return Counter(self.alone.values())


def plan(requests: Sequence[FitRequest], n_jobs: int = 1) -> Plan:
    """Group requests, and divide the groups into jobs.

    Parameters
    ----------
    requests : sequence of FitRequest
    n_jobs : int, default=1
        The number of processes; for little work, the jobs use fewer.
    """
    groups, alone = grouped(requests)
    work = [sum(_seconds(requests[number]) for number in group) for group in groups]
    total = sum(work)
    processes = min(n_jobs, ceil(total / SECONDS_WORTH_A_PROCESS)) if total else 1
    jobs: list[list[int]] = []
    for group, seconds in zip(groups, work, strict=True):
        n_parts = round(processes * seconds / total)
        jobs += _split_group(requests, group, min(n_parts, len(group) // SMALLEST_GROUP))
    return Plan(jobs, alone, len(groups))


def _split_group(requests: Sequence[FitRequest], group: list[int], n_parts: int) -> list[list[int]]:
    """Split a group into parts of equal size, which end between sets of rows where they can.

    Requests on the same sparse rows stay together, since they cannot train with others; so do
    those whose rows pass through steps before the network, which are fitted once.
    """
    if n_parts <= 1:
        return [group]
    same_rows = by_rows(requests, group)
    first = requests[group[0]]
    is_nested = network_of(first.estimator) is not first.estimator
    if n_parts > len(same_rows) or not (is_nested or hasattr(first.data.X, "tocsr")):
        return [part.tolist() for part in np.array_split(list(chain(*same_rows)), n_parts)]
    parts = np.array_split(np.arange(len(same_rows)), n_parts)
    split = [list(chain(*(same_rows[place] for place in part))) for part in parts]
    return split if min(map(len, split)) >= SMALLEST_GROUP else [group]


def _seconds(request: FitRequest) -> float:
    """An estimate of the time that a fit of ``max_iter`` epochs takes."""
    network = network_of(request.estimator)
    hidden = np.atleast_1d(network.hidden_layer_sizes).astype(float).tolist()
    X = request.data.X
    n_features = X.shape[1] if len(getattr(X, "shape", ())) == 2 else 1
    sizes = [n_features, *hidden, 1]
    n_weights = sum(a * b for a, b in pairwise(sizes))
    batch_size = batch_size_of(network.batch_size, request.n_rows)
    n_steps = ceil(request.n_rows / batch_size)
    product_seconds = request.n_rows * n_weights * PRODUCTS_PER_WEIGHT / PRODUCTS_PER_SECOND
    return float(network.max_iter * (product_seconds + n_steps * SECONDS_PER_STEP))


def run(
    requests: Sequence[FitRequest],
    planned: Plan,
    n_jobs: int = 1,
    listener: ListenerOf | None = None,
    job_ended: Callable[[list[int]], None] | None = None,
) -> list[Fitted | Alone]:
    """Run the jobs of a plan.

    Parameters
    ----------
    requests : sequence of FitRequest
    planned : Plan
        The plan of these requests.
    n_jobs : int, default=1
        The largest number of processes.
    listener : callable, optional
        Takes the number of models in training, and returns the hooks to call before and after
        their epochs. Not used in other processes.
    job_ended : callable, optional
        Called after each job, with the numbers of its requests.

    Returns
    -------
    list of Fitted or Alone
        In the order of the requests.
    """
    found: dict[int, Fitted | Alone] = {
        number: Alone(reason) for number, reason in planned.alone.items()
    }
    ended = _run_jobs(requests, planned.jobs, n_jobs, listener)
    for job, trained in zip(planned.jobs, ended, strict=True):
        found |= trained
        if job_ended is not None:
            job_ended(job)
    return [found[number] for number in range(len(requests))]


def _run_jobs(
    requests: Sequence[FitRequest],
    jobs: list[list[int]],
    n_jobs: int,
    listener: ListenerOf | None,
) -> Iterable[dict[int, Fitted | Alone]]:
    if n_jobs == 1 or len(jobs) <= 1:
        return (fit_group(requests, job, listener) for job in jobs)
    # A new backend: that of a search is in use, and cannot be entered twice. The workers map the
    # arrays of the data into memory once, for all jobs.
    trained: list[dict[int, Fitted | Alone]] = Parallel(
        n_jobs=min(n_jobs, len(jobs)), backend="loky"
    )(delayed(_run_job)([requests[number] for number in job], job) for job in jobs)
    return trained


def _run_job(requests: list[FitRequest], numbers: list[int]) -> dict[int, Fitted | Alone]:
    """Run a job in a worker. The keys of the result are the numbers in the plan."""
    found = fit_group(requests, range(len(requests)))
    return {numbers[place]: one for place, one in found.items()}


def fit_requests(
    requests: Sequence[FitRequest], n_jobs: int = 1, listener: ListenerOf | None = None
) -> list[Fitted | Alone]:
    """Fit many requests, in lockstep if possible.

    Parameters
    ----------
    requests : sequence of FitRequest
    n_jobs : int, default=1
        The largest number of processes.
    listener : callable, optional
        As :func:`run` takes it.

    Returns
    -------
    list of Fitted or Alone
        In the order of the requests. For ``Alone``, the caller must call ``fit``.

    Examples
    --------
    >>> from sklearn.base import clone
    >>> from bpestimator import BackpropRegressor
    >>> from bpestimator.lockstep import Data
    >>> X = np.linspace(-1, 1, 40).reshape(-1, 1)
    >>> data = Data(X, X.ravel() ** 2)
    >>> net = BackpropRegressor(max_iter=5, tol=0.0, n_iter_no_change=5)
    >>> folds = np.array_split(np.arange(40), 4)
    >>> rows = [np.setdiff1d(np.arange(40), fold) for fold in folds]
    >>> requests = [FitRequest(clone(net).set_params(random_state=k), data, some)
    ...             for k, some in enumerate(rows)]
    >>> [type(one).__name__ for one in fit_requests(requests)]
    ['Fitted', 'Fitted', 'Fitted', 'Fitted']
    """
    return run(requests, plan(requests, n_jobs), n_jobs, listener)
