"""BLAS runs on one thread in small fits, and the user's number of threads comes back."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from bpestimator import BackpropClassifier

X = np.random.RandomState(0).randn(512, 30)
y = (X[:, 0] > 0).astype(int)


def threads():
    return {
        library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"
    }


@pytest.fixture(autouse=True)
def three_threads():
    """A setting of the user's that is neither the default nor one."""
    with threadpool_limits(3, user_api="blas"):
        yield
        assert threads() == {3}


class Watching:
    """An output that calls ``then`` for every line a verbose fit prints, from inside the fit."""

    def __init__(self, then=lambda: None):
        self.seen, self.then = [], then

    def write(self, text):
        if text.strip():
            self.seen.append(threads())
            self.then()

    def flush(self):
        pass


def fit_watched(est, then=lambda: None):
    watching = Watching(then)
    with contextlib.redirect_stdout(watching):
        est.fit(X, y)
    assert watching.seen
    return watching.seen


def small(**params):
    params = {"hidden_layer_sizes": (20,), "max_iter": 3, "tol": 0.0, "verbose": True} | params
    return BackpropClassifier(random_state=0, **params)


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_small_fit_runs_on_one_thread(solver):
    assert fit_watched(small(solver=solver)) == [{1}] * 3


def test_a_large_fit_runs_on_the_users_threads():
    large = small(hidden_layer_sizes=(450, 450), batch_size=512, max_iter=1)
    assert fit_watched(large) == [{3}]


def test_an_inner_fit_does_not_end_the_outer_ones_limit():
    def inner():
        BackpropClassifier(5, solver="lbfgs", max_iter=2).fit(X, y)
        assert threads() == {1}

    assert fit_watched(small(), inner) == [{1}] * 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_error_restores_the_users_threads(error):
    def fail():
        raise error

    # Training takes Ctrl-C for a wish to stop, and says so.
    ends = (
        pytest.warns(UserWarning, match="interrupted")
        if error is KeyboardInterrupt
        else (pytest.raises(error))
    )
    with ends:
        fit_watched(small(), fail)
    assert threads() == {3}


def test_the_last_of_several_fits_restores_the_users_threads():
    inside, leave = threading.Barrier(2), threading.Event()

    def first():
        inside.wait(30)
        leave.wait(30)

    with ThreadPoolExecutor(2) as pool:
        # Only one redirect of stdout at a time: the second fit is silent.
        slow = pool.submit(fit_watched, small(max_iter=1), first)
        inside.wait(30)
        pool.submit(small(verbose=False).fit, X, y).result()
        assert threads() == {1}
        leave.set()
        slow.result()
    assert threads() == {3}


def test_eight_fits_and_predictions_at_once():
    alone = small(verbose=False).fit(X, y)

    def work(_):
        est = small(verbose=False).fit(X, y)
        return est.predict_proba(X)

    with ThreadPoolExecutor(8) as pool:
        for probabilities in pool.map(work, range(24)):
            np.testing.assert_array_equal(probabilities, alone.predict_proba(X))


def test_prediction_restores_the_users_threads_and_uses_them():
    est = small(verbose=False).fit(X, y)
    many = np.tile(X, (21, 1))  # several chunks, the last one incomplete
    shared = est.predict_proba(many)
    assert threads() == {3}
    with threadpool_limits(1, user_api="blas"):
        alone = est.predict_proba(many)
    np.testing.assert_allclose(shared, alone, rtol=1e-12)
    np.testing.assert_allclose(shared[:512], est.predict_proba(X), rtol=1e-12)


INTERRUPTED = """
import os, signal, threading, warnings
import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits
from bpestimator import BackpropClassifier
warnings.simplefilter("ignore")
X = np.random.RandomState(0).randn(100, 20)
y = (X[:, 0] > 0).astype(int)
fitted = BackpropClassifier(20, max_iter=5).fit(X, y)
threadpool_limits(3, user_api="blas")
for attempt in range(60):
    timer = threading.Timer(0.002 + 0.0005 * attempt, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        while timer.is_alive():  # a fit that keeps what it has learnt does not raise
            fitted.predict(X)
            fitted.partial_fit(X, y)
    except KeyboardInterrupt:
        pass
    timer.join()
    for library in threadpool_info():
        assert library["user_api"] != "blas" or library["num_threads"] == 3, attempt
print("restored")
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are sent differently")
def test_ctrl_c_at_any_time_restores_the_users_threads():
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=120
    )
    assert "restored" in done.stdout, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_forked_during_a_fit_can_fit():
    children = []

    def fork():
        child = os.fork()
        if child == 0:
            small(verbose=False).fit(X, y)
            os._exit(0)
        children.append(os.waitpid(child, 0)[1])

    fit_watched(small(max_iter=1), fork)
    assert children == [0]
    assert signal.getsignal(signal.SIGINT) is not None
