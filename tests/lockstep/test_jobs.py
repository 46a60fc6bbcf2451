"""How groups are shared among processes."""

from dataclasses import replace
from itertools import chain

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bpestimator import BackpropRegressor
from bpestimator.lockstep import Data, FitRequest, jobs, plan, run

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 5))
DATA = Data(X, X[:, 0] * X[:, 1])
FOLDS = [np.delete(np.arange(300), np.s_[k::5]) for k in range(5)]
RATES = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1)


def grid(rates=RATES, **params):
    """Requests candidate by candidate, as a search sends them."""
    net = BackpropRegressor(random_state=0, **params)
    nets = [clone(net).set_params(learning_rate=rate) for rate in rates]
    return [FitRequest(one, DATA, rows) for one in nets for rows in FOLDS]


@pytest.fixture
def long(monkeypatch):
    """Every fit counts as long enough for a process of its own."""
    monkeypatch.setattr(jobs, "SECONDS_WORTH_A_PROCESS", 1e-9)


@pytest.mark.parametrize(("n_jobs", "n_shares"), [(1, 1), (2, 2), (5, 5), (16, 8), (100, 8)])
def test_more_processes_than_folds_have_work_too(long, n_jobs, n_shares):
    planned = plan(grid(), n_jobs)
    assert len(planned.jobs) == n_shares  # of 25 fits, and 3 at least in each
    assert sorted(chain(*planned.jobs)) == list(range(25))
    assert min(map(len, planned.jobs)) >= 3


def test_processes_have_equal_shares(long):
    assert sorted(map(len, plan(grid(), 2).jobs)) == [12, 13]
    for job in plan(grid(), 5).jobs:
        assert len({id(grid_rows) for grid_rows in rows_of(job)}) == 1  # a fold each


def rows_of(job):
    requests = grid()
    return [requests[number].rows for number in job]


@pytest.mark.parametrize("kind", ["sparse", "in a Pipeline"])
def test_folds_are_kept_whole_where_they_are_prepared(long, kind):
    requests = grid()
    if kind == "sparse":
        data = Data(sp.csr_array(X), DATA.y)
        requests = [replace(request, data=data) for request in requests]
    else:
        requests = [
            replace(request, estimator=make_pipeline(StandardScaler(), request.estimator))
            for request in requests
        ]
    for job in plan(requests, 2).jobs:
        folds = {id(requests[number].rows) for number in job}
        assert len(job) == 5 * len(folds)


def test_processes_go_to_the_kind_that_takes_longest(long):
    small, large = grid(hidden_layer_sizes=(4,)), grid(hidden_layer_sizes=(400,))
    planned = plan([*small, *large], 4)
    n_small = sum(max(job) < 25 for job in planned.jobs)
    assert n_small == 1
    assert len(planned.jobs) >= 4


def test_little_work_is_done_in_this_process():
    assert len(plan(grid(max_iter=2), 8).jobs) == 1
    assert len(plan(grid(max_iter=20_000), 8).jobs) == 8


@pytest.mark.parametrize("n_jobs", [2, 16])
def test_jobs_are_dispatched_once_each_with_the_data_as_it_is(long, monkeypatch, n_jobs):
    dispatched = []

    class Parallel:
        def __init__(self, n_jobs, backend):
            dispatched.append(n_jobs)

        def __call__(self, calls):
            calls = list(calls)
            dispatched.extend(len(args[0]) for _, args, _ in calls)
            data = {id(request.data) for _, args, _ in calls for request in args[0]}
            assert data == {id(DATA)}  # joblib maps what is one object into memory once
            return [function(*args, **kwargs) for function, args, kwargs in calls]

    monkeypatch.setattr(jobs, "Parallel", Parallel)
    monkeypatch.setattr(jobs, "delayed", joblib.delayed)
    requests = grid(max_iter=2)
    run(requests, plan(requests, n_jobs), n_jobs)
    n_shares = min(n_jobs, 8)
    assert dispatched[0] == n_shares
    assert len(dispatched[1:]) == n_shares
    assert sum(dispatched[1:]) == 25


def test_other_processes_come_to_the_same_bits(long):
    requests = grid(max_iter=4)
    here = run(requests, plan(requests, 1), 1)
    there = run(requests, plan(requests, 2), 2)
    for one, other in zip(here, there, strict=True):
        for ours, theirs in zip(one.estimator.coefs_, other.estimator.coefs_, strict=True):
            assert_array_equal(ours, theirs)


def test_every_job_that_ends_is_told():
    ended = []
    requests = [*grid(max_iter=2), *grid(max_iter=3)]
    planned = plan(requests)
    run(requests, planned, job_ended=ended.append)
    assert ended == planned.jobs
