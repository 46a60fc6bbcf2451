"""max_grad_norm: the longest step a gradient may ask for."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from bpestimator import SGD, BackpropClassifier, BackpropRegressor
from bpestimator.training.clipping import clip

from data import weights

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.RandomState(0)
X = RNG.randn(120, 5)
Y = 50 * X[:, 0] + RNG.randn(120)


def regressor(**params):
    params = {"solver": SGD(momentum=0.0), "max_iter": 1, "batch_size": 120} | params
    return BackpropRegressor(hidden_layer_sizes=(6,), random_state=0, **params)


@pytest.mark.parametrize("rate", [1.0, 0.1])
def test_one_step_moves_by_rate_times_the_longest_gradient(rate):
    start = weights(regressor(learning_rate=1e-300).fit(X, Y))
    moved = weights(regressor(learning_rate=rate, max_grad_norm=0.5).fit(X, Y)) - start
    free = weights(regressor(learning_rate=1e-3).fit(X, Y)) - start
    assert np.linalg.norm(moved) == pytest.approx(0.5 * rate, rel=1e-9)
    assert np.linalg.norm(free) > 1e-3  # the gradient itself is longer
    assert_allclose(moved / np.linalg.norm(moved), free / np.linalg.norm(free), rtol=1e-6)


@pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop"])
def test_short_gradients_are_left_alone(solver):
    free = regressor(solver=solver, max_iter=4, batch_size=30).fit(X, Y)
    limited = regressor(solver=solver, max_iter=4, batch_size=30, max_grad_norm=1e9).fit(X, Y)
    assert_allclose(weights(limited), weights(free), rtol=1e-12)


def test_it_tames_a_rate_that_diverges():
    params = {"solver": "sgd", "learning_rate": 0.05, "max_iter": 50, "batch_size": 30}
    lost = regressor(**params).fit(1e3 * X, 1e3 * Y)
    assert lost.stop_reason_.startswith("diverged")
    tamed = regressor(**params, max_grad_norm=1.0).fit(1e3 * X, 1e3 * Y)
    assert not tamed.stop_reason_.startswith("diverged")
    assert tamed.loss_ < 0.9 * tamed.loss_curve_[0]
    assert tamed.score(1e3 * X, 1e3 * Y) > lost.score(1e3 * X, 1e3 * Y)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_each_model_has_its_own_limit(dtype):
    grads = np.array([[3.0, 4.0], [3.0, 4.0], [0.3, 0.4], [3.0, 4.0]], dtype)
    clip(grads, np.array([[1.0], [10.0], [1.0], [np.inf]]))
    assert_allclose(grads, [[0.6, 0.8], [3, 4], [0.3, 0.4], [3, 4]], rtol=1e-6)


def test_blocks_see_the_norm_of_the_whole(monkeypatch):
    from bpestimator.training import blocks

    params = {"solver": "adam", "max_iter": 3, "batch_size": 30, "max_grad_norm": 0.1}
    whole = weights(regressor(**params).fit(X, Y))
    monkeypatch.setattr(blocks, "BLOCKED_PARAMETERS", 10)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 7 * 8)
    assert_array_equal(weights(regressor(**params).fit(X, Y)), whole)


def test_what_it_cannot_be():
    for value in (0, -1.0, np.nan, "1"):
        with pytest.raises(ValueError, match=r"'max_grad_norm' .* a float in the range \(0, inf\)"):
            regressor(max_grad_norm=value).fit(X, Y)
    with pytest.warns(UserWarning, match="max_grad_norm=1.0 is not used by solver='lbfgs'"):
        BackpropClassifier(solver="lbfgs", max_grad_norm=1.0, max_iter=5).fit(X, Y > 0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_gradient_whose_square_overflows_is_shortened_all_the_same(dtype):
    huge = np.sqrt(np.finfo(dtype).max) * 10
    grads = np.array([[3 * huge, 4 * huge], [0.0, 0.0]], dtype)
    clip(grads, np.array([[1.0], [1.0]]))
    assert_allclose(grads, [[0.6, 0.8], [0, 0]], rtol=1e-5)
