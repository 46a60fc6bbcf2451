"""Every warning points at the user's line, whatever calls lie between."""

import linecache
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import bpestimator
from bpestimator import BackpropRegressor, LearningRateDisplay, LockstepGridSearchCV

try:
    from sklearn.callback import ProgressBar
except ImportError:
    ProgressBar = None

X = np.random.default_rng(0).normal(size=(60, 3))
Y = X[:, 0]


def net(**params):
    return BackpropRegressor(**{"max_iter": 2, "random_state": 0, **params})


KINDS = {
    "max_iter": (net(), Y, {}),
    "lbfgs": (net(solver="lbfgs", max_iter=1, max_grad_norm=1.0), Y, {}),
    "a column": (net(), Y[:, None], {}),
    "batch_size": (net(batch_size=500), Y, {}),
    "unreachable": (net(output_activation="tanh"), 10 * Y, {}),
    "scoring": (net(scoring="r2"), Y, {}),
    "diverged": (net(solver="sgd", learning_rate=1e3, max_iter=20), 1e3 * Y, {}),
    "max_time": (net(max_time=1e-9), Y, {}),
    "X_val": (net(), Y, {"X_val": X, "y_val": Y[:, None]}),
}


def caught(call):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return found


def assert_here(found, marker="# the user's line"):
    assert found
    for one in found:
        line = linecache.getline(one.filename, one.lineno)
        assert one.filename == __file__, (one.filename, one.message)
        assert marker in line, (line, one.message)


@pytest.mark.parametrize(("est", "y", "options"), KINDS.values(), ids=KINDS)
def test_fit(est, y, options):
    assert_here(caught(lambda: est.fit(X, y, **options)))  # the user's line


def test_partial_fit():
    assert_here(caught(lambda: net().partial_fit(X, Y[:, None])))  # the user's line


AROUND = {
    "Pipeline": lambda est: make_pipeline(StandardScaler(), est),
    "Pipelines": lambda est: make_pipeline(StandardScaler(), make_pipeline(est)),
    "TransformedTargetRegressor": lambda est: TransformedTargetRegressor(est),
    "GridSearchCV": lambda est: GridSearchCV(est, {"alpha": [0.1, 1]}, cv=2),
    "LockstepGridSearchCV": lambda est: LockstepGridSearchCV(est, {"alpha": [0.1, 1]}, cv=2),
    "one fit alone": lambda est: LockstepGridSearchCV(est, {"alpha": [0.1]}, cv=2),
    "search in a Pipeline": lambda est: make_pipeline(
        StandardScaler(), GridSearchCV(est, {"alpha": [0.1]}, cv=2)
    ),
}


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
def test_inside_other_estimators(around):
    assert_here(caught(lambda: around(net()).fit(X, Y)))  # the user's line


def test_inside_an_estimator_that_calls_joblib():
    whole = MultiOutputRegressor(net())
    assert_here(caught(lambda: whole.fit(X, np.c_[Y, Y])))  # the user's line


def test_inside_a_function_of_scikit_learns():
    assert_here(caught(lambda: cross_validate(net(), X, Y, cv=2)))  # the user's line


@pytest.mark.skipif(ProgressBar is None, reason="needs scikit-learn 1.9")
@pytest.mark.parametrize("around", [lambda est: est, AROUND["Pipeline"], AROUND["GridSearchCV"]])
def test_with_callbacks(around):
    whole = around(net())
    whole.set_callbacks(ProgressBar())
    assert_here(caught(lambda: whole.fit(X, Y)))  # the user's line


def test_displays():
    search = LockstepGridSearchCV(net(), {"learning_rate": [0.1, 0.2]}, cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, Y)
    draw = LearningRateDisplay.from_search
    assert_here(caught(lambda: draw(search, plot=False)))  # the user's line


def test_a_warning_raised_before_training_leaves_everything_as_it_was():
    est = net()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="A column-vector y"):
            est.fit(X, Y[:, None])
    assert not any(name.endswith("_") for name in vars(est))


def test_a_fit_that_fails_has_written_nothing():
    est = net().set_params(max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        est.fit(X, Y)
    before = vars(est).copy()
    coefs = [weights.copy() for weights in est.coefs_]
    for bad in (np.full(60, np.nan), Y[:59], np.array(["a"] * 60)):
        with pytest.raises(ValueError, match=r".+"):
            est.fit(X, bad)
    assert vars(est).keys() == before.keys()
    assert all(vars(est)[name] is value for name, value in before.items())
    for ours, theirs in zip(est.coefs_, coefs, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_where_no_line_is_the_users():
    """In a thread of its own, a warning points at this package, rather than at what started it."""

    def in_a_thread():
        thread = threading.Thread(target=net().fit, args=(X, Y))
        thread.start()
        thread.join()

    (found,) = caught(in_a_thread)
    assert found.filename.startswith(str(Path(bpestimator.__file__).parent))
