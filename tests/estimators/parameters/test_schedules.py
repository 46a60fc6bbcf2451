"""Schedules as users choose them, with every stochastic solver."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.preprocessing import scale

from bpestimator import BackpropClassifier, Cosine, Exponential, OneCycle
from bpestimator.training import OPTIMIZERS, SCHEDULES

from data import assert_candidates_score_as_alone, weights

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = load_breast_cancer(return_X_y=True)
X = scale(X)
NEW = {name: kind for name, kind in SCHEDULES.items() if kind.per_step}


def model(schedule, **params):
    params = {"max_iter": 6, "batch_size": 100, "tol": 0.0, "random_state": 0} | params
    return BackpropClassifier((8,), learning_rate=schedule, **params)


@pytest.mark.parametrize("solver", OPTIMIZERS)
@pytest.mark.parametrize("name", NEW)
def test_a_name_is_its_object_and_not_constant(name, solver):
    by_name = model(name, solver=solver).fit(X, y)
    assert_array_equal(weights(by_name), weights(model(NEW[name](), solver=solver).fit(X, y)))
    constant = model("constant", solver=solver).fit(X, y)
    assert not np.array_equal(weights(by_name), weights(constant))


@pytest.mark.parametrize("name", NEW)
def test_the_last_rate_is_told(name):
    steps = -(-len(X) // 100)
    est = model(name, learning_rate_init=0.02).fit(X, y)
    assert est.learning_rate_ == pytest.approx(NEW[name]().rates(0.02, 6, steps)[-1])
    assert est.learning_rate_ < 0.02


def test_the_last_rate_of_the_others():
    assert model(0.03).fit(X, y).learning_rate_ == 0.03
    assert model("constant", learning_rate_init=0.01).fit(X, y).learning_rate_ == 0.01
    est = model("invscaling", learning_rate_init=0.01).fit(X, y)
    assert est.learning_rate_ == pytest.approx(0.01 / np.sqrt(5 * len(X) + 1))
    assert not hasattr(model("constant", solver="lbfgs").fit(X, y), "learning_rate_")


@pytest.mark.parametrize("name", NEW)
def test_each_learns(name):
    est = model(name, learning_rate_init=0.02, max_iter=40)
    assert cross_val_score(est, X, y, cv=3).mean() > 0.96


@pytest.mark.parametrize("name", NEW)
def test_partial_fit_needs_schedules_without_horizon(name):
    est = model(name, shuffle=False)
    if NEW[name].needs_horizon:
        with pytest.raises(ValueError, match="must know when training ends, which partial_fit"):
            est.partial_fit(X, y, classes=[0, 1])
        assert not hasattr(est, "coefs_")
        return
    for _ in range(6):
        est.partial_fit(X, y, classes=[0, 1])
    whole = model(name, shuffle=False).fit(X, y)
    assert_array_equal(weights(est), weights(whole))
    assert est.learning_rate_ == whole.learning_rate_


def test_a_warm_up_as_long_as_the_fit_is_an_error():
    with pytest.raises(ValueError, match=r"warmup of Cosine.* must be shorter than max_iter=6"):
        model(Cosine(warmup=6)).fit(X, y)
    model(Cosine(warmup=5)).fit(X, y)


def test_grid_search_over_objects():
    grid = {
        "learning_rate": ["constant", 0.01, "cosine", OneCycle(0.2), Exponential(0.9, warmup=1)]
    }
    search = GridSearchCV(model("constant"), grid, cv=2, scoring="neg_log_loss").fit(X, y)
    assert_candidates_score_as_alone(search, X, y)


def test_coslog4_is_not_stopped_between_its_cycles():
    est = model("coslog4", max_iter=90, n_iter_no_change=2, tol=1e-3).fit(X, y)
    assert est.n_iter_ == 90
    assert model("cosine", max_iter=90, n_iter_no_change=2, tol=1e-3).fit(X, y).n_iter_ < 90
