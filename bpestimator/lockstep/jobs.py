"""Jobs: groups of requests, shared among processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, pairwise
from math import ceil
from typing import NamedTuple

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from bpestimator.lockstep.grouping import SMALLEST_GROUP, grouped
from bpestimator.lockstep.nested import network_of
from bpestimator.lockstep.requests import Alone, FitRequest, Fitted
from bpestimator.lockstep.training import ListenerOf, by_rows, fit_group

# A process is worth its share of the data and its start only for so many seconds of work.
SECONDS_WORTH_A_PROCESS = 0.5
# What a step takes beside its products, shared by the models of a group.
SECONDS_PER_STEP = 2e-5
# Multiplications of a weight and of its gradient, a row and epoch.
PRODUCTS_PER_WEIGHT = 3
PRODUCTS_PER_SECOND = 3e9


class Plan(NamedTuple):
    """What trains in lockstep.

    jobs : numbers of the requests of each job; a job is one call of ``fit_group``
    alone : by number, why a request is left to its own ``fit``
    n_groups : groups of requests of one kind, each of which may be several jobs
    """

    jobs: list[list[int]]
    alone: dict[int, str]
    n_groups: int

    @property
    def reasons(self) -> Counter[str]:
        """How many requests are left to their own ``fit``, for each reason."""
        return Counter(self.alone.values())


def plan(requests: Sequence[FitRequest], n_jobs: int = 1) -> Plan:
    """Group requests, and share the groups among so many processes, or fewer for little work."""
    groups, alone = grouped(requests)
    work = [sum(_seconds(requests[number]) for number in group) for group in groups]
    total = sum(work)
    processes = min(n_jobs, ceil(total / SECONDS_WORTH_A_PROCESS)) if total else 1
    jobs: list[list[int]] = []
    for group, seconds in zip(groups, work, strict=True):
        shares = round(processes * seconds / total)
        jobs += _shared(requests, group, min(shares, len(group) // SMALLEST_GROUP))
    return Plan(jobs, alone, len(groups))


def _shared(requests: Sequence[FitRequest], group: list[int], shares: int) -> list[list[int]]:
    """A group in so many parts: between sets of rows where these are enough, else within."""
    if shares <= 1:
        return [group]
    same_rows = by_rows(requests, group)
    if shares > len(same_rows):
        in_order = list(chain(*same_rows))
        return [part.tolist() for part in np.array_split(in_order, shares)]
    parts = np.array_split(np.arange(len(same_rows)), shares)
    shared = [list(chain(*(same_rows[place] for place in part))) for part in parts]
    return shared if min(map(len, shared)) >= SMALLEST_GROUP else [group]


def _seconds(request: FitRequest) -> float:
    """About how long a fit takes, if it goes on to ``max_iter``."""
    network = network_of(request.estimator)
    hidden = np.atleast_1d(network.hidden_layer_sizes).astype(float).tolist()
    X = request.data.X
    n_features = X.shape[1] if len(getattr(X, "shape", ())) == 2 else 1
    sizes = [n_features, *hidden, 1]
    weights = sum(a * b for a, b in pairwise(sizes))
    batch_size = 200 if isinstance(network.batch_size, str) else network.batch_size
    steps = ceil(request.n_rows / batch_size)
    products = request.n_rows * weights * PRODUCTS_PER_WEIGHT / PRODUCTS_PER_SECOND
    return float(network.max_iter * (products + steps * SECONDS_PER_STEP))


def run(
    requests: Sequence[FitRequest],
    planned: Plan,
    n_jobs: int = 1,
    listener: ListenerOf | None = None,
    job_ended: Callable[[list[int]], None] | None = None,
) -> list[Fitted | Alone]:
    """Train all that is planned.

    Parameters
    ----------
    requests : sequence of FitRequest
    planned : Plan
        Of these requests.
    n_jobs : int, default=1
        Most processes.
    listener : callable, optional
        From the number of models in training to the hooks called for their epochs; called in this
        process only.
    job_ended : callable, optional
        Called with the numbers of the requests of each job that has ended.

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
    # A backend of its own: that of a search is open, and may not be entered twice. Its workers
    # map the arrays of the data into memory, once for all jobs.
    trained: list[dict[int, Fitted | Alone]] = Parallel(
        n_jobs=min(n_jobs, len(jobs)), backend="loky"
    )(delayed(_run_job)([requests[number] for number in job], job) for job in jobs)
    return trained


def _run_job(requests: list[FitRequest], numbers: list[int]) -> dict[int, Fitted | Alone]:
    """Fit some requests in a worker; by their numbers in the plan."""
    found = fit_group(requests, range(len(requests)))
    return {numbers[place]: one for place, one in found.items()}


def fit_requests(
    requests: Sequence[FitRequest], n_jobs: int = 1, listener: ListenerOf | None = None
) -> list[Fitted | Alone]:
    """Fit many requests, in lockstep where they are alike.

    A request that cannot train so is returned as ``Alone``, with the reason: its own ``fit`` is
    the caller's. The parameters are those of :func:`run`.

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
