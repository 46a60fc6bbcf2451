"""Activations as users choose them: names, objects, one per layer, their own."""

import copy
import pickle
import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import scale

from bpestimator import (
    ELU,
    BackpropClassifier,
    BackpropRegressor,
    CustomActivation,
    LeakyReLU,
    Logistic,
    Tanh,
)
from bpestimator.nn import ACTIVATIONS

from data import assert_candidates_score_as_alone, weights

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = load_breast_cancer(return_X_y=True)
X = scale(X)


def fitted(activation, sizes=(8, 6), **params):
    est = BackpropClassifier(sizes, activation=activation, max_iter=8, random_state=0, **params)
    return est.fit(X[:200], y[:200])


def tanh_slope(z):
    return 1 - np.tanh(z) ** 2


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_name_its_object_and_a_list_are_the_same(name):
    by_name = weights(fitted(name))
    for same in (ACTIVATIONS[name], [name, name], (ACTIVATIONS[name], name)):
        assert_array_equal(weights(fitted(same)), by_name)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"identity"}))
def test_each_learns(name):
    params = {"activation": name, "random_state": 0, "learning_rate": 0.01}
    model = BackpropClassifier((16,), max_iter=60, **params)
    assert cross_val_score(model, X, y, cv=3).mean() > 0.95
    inputs, target = load_diabetes(return_X_y=True)
    model = BackpropRegressor(hidden_layer_sizes=(16, 16), max_iter=150, alpha=1, **params)
    assert cross_val_score(model, scale(inputs), scale(target), cv=3).mean() > 0.35


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_layers_differ(solver):
    mixed = fitted([Tanh(), "relu"], solver=solver)
    assert not np.array_equal(weights(mixed), weights(fitted("tanh", solver=solver)))
    assert not np.array_equal(weights(mixed), weights(fitted(["relu", "tanh"], solver=solver)))
    hidden = np.tanh(X @ mixed.coefs_[0] + mixed.intercepts_[0])
    hidden = np.maximum(hidden @ mixed.coefs_[1] + mixed.intercepts_[1], 0)
    raw = hidden @ mixed.coefs_[2] + mixed.intercepts_[2]
    assert_allclose(mixed.predict_proba(X)[:, 1], 1 / (1 + np.exp(-raw[:, 0])), rtol=1e-10)


def test_initial_weights_suit_each_layer():
    """Logistic layers start from a third of the variance, as in scikit-learn."""
    wide = fitted(["tanh", "logistic"], (300, 300), learning_rate=1e-12)
    assert abs(wide.coefs_[0]).max() == pytest.approx(np.sqrt(6 / 330), rel=0.01)
    assert abs(wide.coefs_[1]).max() == pytest.approx(np.sqrt(2 / 600), rel=0.01)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_ones_own_function(solver):
    own = CustomActivation(np.tanh, tanh_slope)
    assert_allclose(
        fitted(own, solver=solver).predict_proba(X),
        fitted("tanh", solver=solver).predict_proba(X),
        rtol=1e-6,
    )


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("returned", [1.0, np.ones(8), np.ones((1, 1))], ids=np.shape)
def test_a_derivative_of_another_shape(solver, returned):
    own = CustomActivation(np.tanh, lambda z: returned)
    got = re.escape(f"Got {np.shape(returned)}.")
    match = rf"derivative of a CustomActivation .*, \(\d+, 8\)\. {got}"
    with pytest.raises(ValueError, match=match):
        fitted(own, solver=solver)


def test_a_wrong_number_of_activations_says_so():
    with pytest.raises(ValueError, match="names 3 activations for 2 hidden layers"):
        fitted(["relu", "tanh", "relu"])
    est = fitted("relu")
    before = weights(est)
    est.set_params(activation=["relu"])
    with pytest.raises(ValueError, match="names 1 activations for 2 hidden layers"):
        est.fit(X, y)
    assert_array_equal(weights(est), before)


def test_grid_search_over_objects():
    grid = {"backpropclassifier__activation": ["relu", LeakyReLU(0.2), ELU(), ["tanh", Logistic()]]}
    model = make_pipeline(BackpropClassifier((5, 4), max_iter=5, random_state=0))
    search = GridSearchCV(model, grid, cv=2, n_jobs=2, scoring="neg_log_loss").fit(X, y)
    assert_candidates_score_as_alone(search, X, y)
    assert search.best_params_["backpropclassifier__activation"] in list(*grid.values())


@pytest.mark.parametrize("copied", [clone, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_parameters_survive_copies(copied):
    est = BackpropClassifier(activation=[LeakyReLU(0.2), "tanh"])
    assert copied(est).activation == est.activation
    assert "LeakyReLU(slope=0.2)" in repr(copied(est))


def test_partial_fit_goes_on():
    whole = BackpropClassifier(activation="gelu", batch_size=50, shuffle=False, random_state=0)
    whole.set_params(max_iter=2).fit(X[:100], y[:100])
    parts = clone(whole)
    for _ in range(2):
        parts.partial_fit(X[:100], y[:100], classes=[0, 1])
    assert_array_equal(weights(whole), weights(parts))
