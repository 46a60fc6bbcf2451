"""Solvers as users choose them: names and objects."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.preprocessing import scale

from bpestimator import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    BackpropClassifier,
    BackpropRegressor,
    NAdam,
    RMSprop,
)
from bpestimator.nn.parameters import Layout, move
from bpestimator.training import OPTIMIZERS

from data import assert_candidates_score_as_alone, weights

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = load_breast_cancer(return_X_y=True)
X = scale(X)
RATES = {"sgd": 0.02, "adagrad": 0.05}


def fitted(solver, **params):
    params = {"max_iter": 6, "random_state": 0, "batch_size": 64} | params
    return BackpropClassifier((9,), solver=solver, **params).fit(X, y)


OBJECTS = {
    "sgd": (SGD(0.5, False), {"momentum": 0.5, "nesterovs_momentum": False}),
    "adam": (Adam(0.8, 0.9, 1e-4), {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-4}),
    "adamw": (AdamW(0.8, 0.9, 1e-4), {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-4}),
    "nadam": (NAdam(0.8, 0.9, 1e-4), {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-4}),
    "rmsprop": (RMSprop(epsilon=1e-4), {"epsilon": 1e-4}),
    "adagrad": (Adagrad(1e-4), {"epsilon": 1e-4}),
}


def test_every_optimizer_is_tested():
    assert set(OBJECTS) == set(OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_name_takes_the_estimators_numbers(name):
    solver, params = OBJECTS[name]
    assert_array_equal(weights(fitted(name, **params)), weights(fitted(solver)))
    assert not np.array_equal(weights(fitted(name)), weights(fitted(solver)))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_learns(name):
    params = {"solver": name, "learning_rate": RATES.get(name, 0.005), "random_state": 0}
    model = BackpropClassifier((16,), max_iter=60, **params)
    assert cross_val_score(model, X, y, cv=3).mean() > 0.95
    inputs, target = load_diabetes(return_X_y=True)
    model = BackpropRegressor(hidden_layer_sizes=(16,), max_iter=120, alpha=1, **params)
    assert cross_val_score(model, scale(inputs), scale(target), cv=3).mean() > 0.38


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_partial_fit_goes_on_after_pickling(name):
    whole = fitted(OBJECTS[name][0], shuffle=False, max_iter=3)
    parts = clone(whole)
    for _ in range(3):
        parts.partial_fit(X, y, classes=[0, 1])
        parts = pickle.loads(pickle.dumps(parts))
    assert_array_equal(weights(whole), weights(parts))


@pytest.mark.parametrize("name", OBJECTS)
def test_partial_fit_goes_on_from_the_layout_of_early_pickles(name):
    whole = fitted(OBJECTS[name][0], shuffle=False, max_iter=1)
    early = copy.deepcopy(whole)
    layouts = Layout(_sizes_of(whole)), Layout(_sizes_of(whole), from_first=True)
    memory = early._memory
    del memory["layout"]
    for key, value in memory["optimizer"].items():
        if np.ndim(value):
            memory["optimizer"][key] = move(value, *layouts)
    for est in (whole, early):
        est.partial_fit(X, y)
    assert_array_equal(weights(whole), weights(early))


def _sizes_of(est):
    return [len(est.coefs_[0]), *(coefs.shape[1] for coefs in est.coefs_)]


def test_decay_shrinks_weights_and_spares_biases():
    """With a constant target nothing else moves the weights once the biases have it."""
    strong, none = (fitted(AdamW(weight_decay=w), alpha=0, max_iter=40) for w in (20.0, 0.0))
    assert np.linalg.norm(strong.coefs_[0]) < 0.7 * np.linalg.norm(none.coefs_[0])
    frozen = fitted(AdamW(weight_decay=5.0), alpha=0, max_iter=1, learning_rate=1e-9)
    before = fitted(Adam(), alpha=0, max_iter=1, learning_rate=1e-9)
    assert_allclose(frozen.intercepts_[0], before.intercepts_[0], rtol=0, atol=1e-12)
    ratio = frozen.coefs_[0] / before.coefs_[0]
    steps = -(-len(X) // 64)
    assert_allclose(1 - ratio, steps * 5e-9, rtol=1e-2)
    assert_array_equal(weights(fitted(AdamW(weight_decay=0.0))), weights(fitted("adam")))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_large_networks_take_segments(name, monkeypatch):
    from bpestimator.training import segments

    whole = weights(fitted(name))
    monkeypatch.setattr(segments, "SEGMENTED_PARAMETERS", 100)
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 67 * 8)
    assert_array_equal(weights(fitted(name)), whole)


def test_grid_search_over_objects():
    grid = {"solver": ["adam", AdamW(weight_decay=0.1), RMSprop(), "lbfgs"]}
    net = BackpropClassifier((5,), max_iter=5, random_state=0)
    search = GridSearchCV(net, grid, cv=2, scoring="neg_log_loss").fit(X, y)
    assert_candidates_score_as_alone(search, X, y)


def test_another_optimizer_begins_without_memory():
    est = fitted("adam")
    est.set_params(solver=NAdam()).partial_fit(X, y)
    est.set_params(solver=RMSprop()).partial_fit(X, y)
    est.set_params(solver="adam").partial_fit(X, y)
    assert est.score(X, y) > 0.8


@pytest.mark.parametrize("solver", [AdamW(), "adamw"], ids=repr)
def test_a_part_of_an_object_cannot_be_set(solver):
    with pytest.raises(AttributeError) as error:
        BackpropClassifier(solver=solver).set_params(solver__weight_decay=0.1)
    assert "Set the whole object" in error.value.__notes__[0]
