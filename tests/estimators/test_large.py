"""Large problems take other paths than small ones: blocks, chunks, files."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.neural_network import MLPClassifier, MLPRegressor

from bpestimator import BackpropClassifier, BackpropRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_many_parameters_move_as_in_scikit_learn(solver, container):
    rng = np.random.RandomState(0)
    X, y = container(rng.randn(60, 3000) * (rng.rand(60, 3000) < 0.1)), rng.randint(0, 3, 60)
    params = {"solver": solver, "batch_size": 25, "max_iter": 2, "alpha": 0.1, "random_state": 0}
    ours = BackpropClassifier((300, 5), **params).fit(X, y)
    theirs = MLPClassifier((300, 5), **params).fit(X, y)
    assert sum(map(np.size, ours.coefs_)) > 900_000
    for a, b in zip(
        ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True
    ):
        np.testing.assert_array_equal(a, b)
    assert ours.loss_curve_ == pytest.approx(theirs.loss_curve_, rel=1e-12)


ROWS = 5000
RNG = np.random.RandomState(0)
X = RNG.randn(ROWS, 6) * (RNG.rand(ROWS, 6) < 0.5)
WEIGHT = RNG.uniform(0, 2, ROWS)
TARGETS = {
    "two classes": (MLPClassifier, BackpropClassifier, (X[:, 0] > X[:, 1]).astype(int)),
    "four classes": (MLPClassifier, BackpropClassifier, RNG.randint(0, 4, ROWS)),
    "labels": (MLPClassifier, BackpropClassifier, RNG.randint(0, 2, (ROWS, 2))),
    "a number": (MLPRegressor, BackpropRegressor, X[:, 0] * X[:, 1]),
    "two numbers": (MLPRegressor, BackpropRegressor, X[:, :2] ** 2),
}


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("container", [np.asarray, np.asfortranarray, sp.csr_matrix, sp.csc_array])
@pytest.mark.parametrize("target", TARGETS)
def test_lbfgs_on_many_rows_finds_scikit_learns_loss(target, container, weight):
    theirs, ours, y = TARGETS[target]
    params = {"hidden_layer_sizes": (8,), "solver": "lbfgs", "max_iter": 12, "random_state": 0}
    a = theirs(**params).fit(container(X), y, weight)
    b = ours(**params).fit(container(X), y, weight)
    assert b.loss_ == pytest.approx(a.loss_, rel=1e-9)
    assert b.n_iter_ == a.n_iter_


# The rows lie in a file of 160 MB; the process may have 80 MB more than it has by then.
OUT_OF_MEMORY = """
import resource, sys, warnings
import numpy as np
from bpestimator import BackpropClassifier
warnings.simplefilter("ignore")
X = np.memmap(sys.argv[1], np.float32, "w+", shape=(200_000, 200))
X[::1000] = np.random.RandomState(0).randn(200, 200)
X.flush()
X = np.memmap(sys.argv[1], np.float32, "r", shape=(200_000, 200))
y = np.arange(200_000) % 2
est = BackpropClassifier(10, batch_size=500, max_iter=1, random_state=0)
est.fit(X[:1000], y[:1000])
in_use = int(open("/proc/self/statm").read().split()[5]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_DATA, (in_use + 80_000_000,) * 2)
try:
    X[:] * 1
except MemoryError:
    print("the rows do not fit")
est.fit(X, y)
est.partial_fit(X, y)
print("trained", est.coefs_[0].dtype, est.predict(X).shape)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA is Linux's")
def test_rows_in_a_file_larger_than_memory(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY, str(tmp_path / "rows")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.splitlines() == ["the rows do not fit", "trained float32 (200000,)"], (
        done.stderr
    )
