"""Losses, output activations and label smoothing, as their users meet them."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import d2_pinball_score, log_loss
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from bpestimator import (
    BackpropClassifier,
    BackpropRegressor,
    CustomActivation,
    CustomLoss,
    Focal,
    Gamma,
    Huber,
    LogCosh,
    Poisson,
    Quantile,
    SquaredError,
)
from bpestimator.nn import CLASSIFICATION_LOSSES, OUTPUT_ACTIVATIONS, REGRESSION_LOSSES

from data import assert_candidates_score_as_alone

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.RandomState(0)
X = RNG.normal(size=(80, 3))
POSITIVE = np.exp(X[:, 0]) + 0.1


def squares(y, p):
    return 0.5 * (p - y) ** 2


def differences(y, p):
    return p - y


SQUARES = CustomLoss(squares, differences)


def label(loss):
    return str(loss).partition(" at 0x")[0]  # addresses differ between processes


def regressor(loss="squared_error", **params):
    params = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0} | params
    return BackpropRegressor(loss, **params)


def classifier(**params):
    params = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0} | params
    return BackpropClassifier(**params)


# The tutorial's network.

TUTORIAL_X = np.array([[0.5, -0.2, 0.1]])
TUTORIAL_Y = np.array([[1.0, 0.0]])


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_the_tutorials_network_steps_as_computed_by_hand():
    """3 inputs, 4 hidden and 2 output sigmoids, L = 1/2 sum (y - yhat)^2, gradient descent."""
    rate = 0.5
    est = BackpropRegressor(
        hidden_layer_sizes=(4,),
        activation="logistic",
        output_activation="logistic",
        solver="sgd",
        momentum=0,
        alpha=0,
        learning_rate=rate,
        random_state=0,
    )
    w1 = np.array([[0.1, -0.3, 0.2, 0.4], [0.5, 0.1, -0.2, 0.3], [-0.4, 0.2, 0.1, -0.1]])
    w2 = np.array([[0.3, -0.1], [0.2, 0.4], [-0.5, 0.1], [0.1, 0.2]])
    b1, b2 = np.array([0.1, 0.0, -0.1, 0.2]), np.array([0.05, -0.05])
    est.partial_fit(TUTORIAL_X, TUTORIAL_Y)
    est.coefs_, est.intercepts_ = [w1.copy(), w2.copy()], [b1.copy(), b2.copy()]
    # By hand, for the very first step: z1 = x W1 + b1 and so on, to seven digits.
    a1 = sigmoid(TUTORIAL_X @ w1 + b1)
    assert_allclose(a1[0, :2], [0.5024999, 0.4625702], atol=1e-6)
    for _ in range(2):
        a1 = sigmoid(TUTORIAL_X @ w1 + b1)
        yhat = sigmoid(a1 @ w2 + b2)
        delta2 = (yhat - TUTORIAL_Y) * yhat * (1 - yhat)
        delta1 = (delta2 @ w2.T) * a1 * (1 - a1)
        assert_allclose(est.predict(TUTORIAL_X), yhat, rtol=1e-12)
        w2, b2 = w2 - rate * a1.T @ delta2, b2 - rate * delta2[0]
        w1, b1 = w1 - rate * TUTORIAL_X.T @ delta1, b1 - rate * delta1[0]
        est.partial_fit(TUTORIAL_X, TUTORIAL_Y)
        for ours, by_hand in zip(est.coefs_ + est.intercepts_, [w1, w2, b1, b2], strict=True):
            assert_allclose(ours, by_hand, rtol=1e-12)
        # Reported is the mean over the outputs, as scikit-learn does (its issue #8349).
        loss = 0.5 * np.sum((TUTORIAL_Y - yhat) ** 2)
        assert est.loss_ == pytest.approx(loss / 2, rel=1e-12)


# What each loss predicts where there is nothing to go by: a constant.

SKEWED = np.sort(np.random.RandomState(1).gamma(2.0, size=400))
BEST_CONSTANT = {
    "squared_error": np.mean(SKEWED),
    "absolute_error": np.median(SKEWED),
    "quantile": np.median(SKEWED),
    "poisson": np.mean(SKEWED),
    "gamma": np.mean(SKEWED),
    Quantile(0.9): np.quantile(SKEWED, 0.9),
    Quantile([0.1, 0.5, 0.9]): np.quantile(SKEWED, [0.1, 0.5, 0.9]),
    "huber": None,
    "log_cosh": None,
}


def test_the_table_of_constants_is_complete():
    assert set(REGRESSION_LOSSES) <= set(BEST_CONSTANT)


def constant(loss, **params):
    est = BackpropRegressor(
        loss, (), learning_rate="cosine", learning_rate_init=0.1, max_iter=300, tol=0, **params
    )
    est.set_params(n_iter_no_change=np.inf, random_state=0, batch_size=50, alpha=0)
    return est.fit(np.zeros((400, 1)), SKEWED).predict([[0.0]])[0]


@pytest.mark.parametrize("loss", BEST_CONSTANT, ids=label)
def test_the_best_constant(loss):
    best = BEST_CONSTANT[loss]
    if best is None:  # between the median and the mean
        assert np.median(SKEWED) < constant(loss) < np.mean(SKEWED)
    else:
        assert_allclose(constant(loss), best, atol=0.03)


@pytest.mark.parametrize("output_activation", ["identity", "exp", "softplus"])
def test_the_output_activation_does_not_change_what_is_best(output_activation):
    for loss in ("squared_error", Quantile([0.1, 0.9])):
        expected = BEST_CONSTANT.get(loss) if isinstance(loss, str) else None
        expected = np.quantile(SKEWED, [0.1, 0.9]) if expected is None else expected
        assert_allclose(constant(loss, output_activation=output_activation), expected, atol=0.03)


def test_huber_and_log_cosh_are_what_they_say():
    y = np.array([0.0, 2.0, -3.0])
    p = np.array([0.5, 0.5, 0.5])
    r = np.abs(p - y)
    assert_allclose(Huber(1.0).pointwise(p, y), np.where(r <= 1, r**2 / 2, r - 0.5))
    assert_allclose(Huber(2.5).pointwise(p, y), np.where(r <= 2.5, r**2 / 2, 2.5 * (r - 1.25)))
    assert_allclose(LogCosh().pointwise(p, y), np.log(np.cosh(p - y)))
    far = LogCosh().pointwise(np.array([1e4]), np.array([-1e4]))
    assert_allclose(far, 2e4 - np.log(2), rtol=1e-14)  # where cosh is beyond all numbers


# Quantiles.


def test_several_quantiles_never_cross_and_cover():
    rng = np.random.RandomState(0)
    x = rng.uniform(-2, 2, size=(1500, 1))
    y = x.ravel() + (0.2 + np.abs(x.ravel())) * rng.normal(size=1500)
    est = BackpropRegressor(
        Quantile([0.05, 0.5, 0.95]), (32,), learning_rate=0.01, max_iter=100, random_state=0
    ).fit(x[:1000], y[:1000])
    predictions = est.predict(np.linspace(-50, 50, 999).reshape(-1, 1))
    assert predictions.shape == (999, 3)
    assert (np.diff(predictions, axis=1) >= 0).all()
    low, _, high = est.predict(x[1000:]).T
    assert 0.85 < np.mean((low <= y[1000:]) & (y[1000:] <= high)) < 0.95
    assert est.n_outputs_ == 3


def test_the_score_of_quantiles():
    est = regressor(Quantile([0.2, 0.8]), solver="lbfgs", max_iter=50).fit(X, POSITIVE)
    weight = np.linspace(1, 2, 80)
    expected = np.mean(
        [
            d2_pinball_score(POSITIVE, p, sample_weight=weight, alpha=level)
            for p, level in zip(est.predict(X).T, [0.2, 0.8], strict=True)
        ]
    )
    assert est.score(X, POSITIVE, weight) == pytest.approx(expected)
    one = regressor(Quantile(0.8)).fit(X, POSITIVE)
    assert one.score(X, POSITIVE) == pytest.approx(
        d2_pinball_score(POSITIVE, one.predict(X), alpha=0.8)
    )
    by_hand = [
        clone(est).fit(X[train], POSITIVE[train]).score(X[test], POSITIVE[test])
        for train, test in KFold(3).split(X)
    ]
    assert cross_val_score(est, X, POSITIVE, cv=3).tolist() == by_hand
    assert min(by_hand) > 0


def test_early_stopping_watches_the_score_of_quantiles():
    est = regressor(Quantile([0.2, 0.8]), early_stopping=True)
    est.fit(X[:60], POSITIVE[:60], X_val=X[60:], y_val=POSITIVE[60:])
    assert len(est.validation_scores_) == 5
    assert est.best_validation_score_ == est.score(X[60:], POSITIVE[60:])


def test_one_level_of_several_targets():
    y = np.c_[POSITIVE, X[:, 1]]
    est = regressor(Quantile(0.3), solver="lbfgs", max_iter=500, alpha=0)
    below = (y <= est.fit(X, y).predict(X)).mean(axis=0)
    assert_allclose(below, [0.3, 0.3], atol=0.1)
    with pytest.raises(ValueError, match="several quantiles of one target, but y has 2 columns"):
        regressor(Quantile([0.3, 0.4])).fit(X, y)


@pytest.mark.parametrize("wrong", [0, 1.0, [0.5, 1.5], [0.5, 0.1], [0.5, 0.5], [], -1], ids=label)
def test_levels_out_of_range_or_order(wrong):
    with pytest.raises(ValueError, match="The level of Quantile must be"):
        Quantile(wrong)


# Domains and ranges.


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("gamma", X[:, 0], r"loss='gamma' takes targets above 0. Got -2.\d+ instead"),
        ("gamma", np.zeros(80), "loss='gamma' takes targets above 0. Got 0 instead"),
        (Gamma(), -POSITIVE, "loss='gamma' takes targets above 0"),
        (Poisson(), -POSITIVE, "loss='poisson' takes targets of at least 0"),
    ],
)
def test_targets_outside_the_domain(loss, y, message):
    with pytest.raises(ValueError, match=message):
        regressor(loss).fit(X, y)


@pytest.mark.parametrize("output_activation", ["identity", "tanh"])
@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_predictions_outside_the_domain(loss, output_activation):
    with pytest.raises(ValueError, match=r"needs predictions between 0 and inf.*'softplus', 'exp'"):
        regressor(loss, output_activation=output_activation).fit(X, POSITIVE)


@pytest.mark.parametrize("name", OUTPUT_ACTIVATIONS)
def test_every_output_activation_bounds_predictions_and_learns(name):
    low, high = OUTPUT_ACTIVATIONS[name].bounds
    y = np.clip(sigmoid(2 * X[:, 0]), 0.01, 0.99)
    est = regressor(output_activation=name, solver="lbfgs", max_iter=300).fit(X, y)
    assert est.score(X, y) > 0.98
    assert est.out_activation_ == name
    far = est.predict(100 * X)
    assert far.min() >= low
    assert far.max() <= high


def test_targets_out_of_reach_are_told():
    est = regressor(output_activation="logistic")
    with pytest.warns(UserWarning, match=r"cannot predict all targets.*between 0 and 1.*Scale y"):
        est.fit(X, X[:, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        regressor(output_activation="tanh").fit(X, np.sign(X[:, 0]))


# Classifiers.

DATA = {"two classes": load_breast_cancer, "three classes": load_iris}


@pytest.mark.parametrize("loss", [*CLASSIFICATION_LOSSES, Focal(0.5), Focal(0), SQUARES], ids=label)
@pytest.mark.parametrize("data", DATA)
def test_every_loss_of_classes_learns(data, loss):
    x, y = DATA[data](return_X_y=True)
    est = classifier(loss=loss, learning_rate=0.02, max_iter=100).fit(scale(x), y)
    assert est.score(scale(x), y) > 0.95
    assert_allclose(est.predict_proba(scale(x)).sum(axis=1), 1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("loss", [*CLASSIFICATION_LOSSES, SQUARES], ids=label)
def test_every_loss_takes_multilabel_y(loss, smoothing):
    y = np.c_[X[:, 0] > 0, X[:, 1] > 0, X[:, 0] > X[:, 1]].astype(int)
    est = classifier(loss=loss, label_smoothing=smoothing, learning_rate=0.05, max_iter=150)
    assert est.fit(X, y).score(X, y) > 0.8


@pytest.mark.parametrize("y", [(X[:, 0] > 0).astype(int), RNG.randint(0, 3, 80)], ids=["2", "3"])
def test_no_focus_is_log_loss(y):
    focal, plain = classifier(loss=Focal(0)).fit(X, y), classifier().fit(X, y)
    for a, b in zip(focal.coefs_, plain.coefs_, strict=True):
        assert_allclose(a, b, rtol=1e-6, atol=1e-9)
    assert_allclose(focal.loss_curve_, plain.loss_curve_, rtol=1e-9)


def test_squared_error_of_classes_is_half_the_brier_score():
    y = RNG.randint(0, 3, 80)
    est = classifier(loss="squared_error", max_iter=1, learning_rate=1e-12, alpha=0).fit(X, y)
    p = est.predict_proba(X)
    # The mean over the outputs, as everywhere for this loss.
    brier = np.mean(np.sum((p - np.eye(3)[y]) ** 2, axis=1))
    assert est.loss_ == pytest.approx(brier / 2 / 3, rel=1e-6)


def test_a_custom_loss_equals_the_same_loss_built_in():
    for y in (X[:, 0], X[:, :2]):
        ours, own = regressor(SquaredError()).fit(X, y), regressor(SQUARES).fit(X, y)
        for a, b in zip(ours.coefs_, own.coefs_, strict=True):
            assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (CustomLoss(lambda y, p: 0.0, differences), r"The function .* \(1, 80, 1\). Got \(\)"),
        (CustomLoss(squares, lambda y, p: p[:1]), r"The derivative .* \(80, 1\). Got \(1, 1\)"),
        (CustomLoss(squares, lambda y, p: 1.0), r"The derivative .* \(80, 1\). Got \(\)"),
        (CustomLoss(squares, lambda y, p: p[:, 0]), r"The derivative .* \(80, 1\). Got \(80,\)"),
    ],
)
def test_a_custom_loss_of_the_wrong_shape(loss, message):
    with pytest.raises(ValueError, match=message):
        regressor(loss).fit(X, POSITIVE)


@pytest.mark.parametrize("kind", [CustomLoss, CustomActivation])
@pytest.mark.parametrize("name", ["function", "derivative"])
def test_what_is_no_function(kind, name):
    parts = {"function": squares, "derivative": differences, name: 2.0}
    with pytest.raises(TypeError, match=rf"The {name} of {kind.__name__} must be a function"):
        kind(**parts)


def test_label_smoothing_keeps_probabilities_from_the_ends():
    x, y = load_iris(return_X_y=True)
    est = classifier(label_smoothing=0.3, max_iter=1500, learning_rate=0.02, tol=1e-7)
    p = est.fit(scale(x), y).predict_proba(scale(x))
    assert np.median(p.max(axis=1)) == pytest.approx(0.8, abs=0.05)  # 1 - 0.3 + 0.3 / 3
    assert est.score(scale(x), y) > 0.95
    binary = est.fit(scale(x), y == 0).predict_proba(scale(x))
    assert np.median(binary.max(axis=1)) == pytest.approx(0.85, abs=0.05)  # 1 - 0.3 + 0.3 / 2


@pytest.mark.parametrize("y", [(X[:, 0] > 0).astype(int), RNG.randint(0, 3, 80)], ids=["2", "3"])
def test_smoothed_targets_are_those_of_the_formula(y):
    """One step with smoothing by s descends (1 - s) log loss + s times that of a uniform y."""
    est = classifier(label_smoothing=0.2, max_iter=1, learning_rate=1e-12, alpha=0).fit(X, y)
    p = est.predict_proba(X)
    expected = 0.8 * log_loss(y, p) - 0.2 * np.mean(np.log(p))
    assert est.loss_ == pytest.approx(expected, rel=1e-6)


def test_early_stopping_scores_unsmoothed_labels():
    x, y = load_iris(return_X_y=True)
    est = classifier(label_smoothing=0.5, early_stopping=True, max_iter=60, learning_rate=0.02)
    assert est.fit(scale(x), y).best_validation_score_ > 0.8


# As objects among parameters.


@pytest.mark.parametrize("loss", [Huber(1.5), Quantile([0.1, 0.9]), SQUARES, Gamma()], ids=label)
def test_losses_are_good_parameters(loss):
    est = regressor(loss)
    assert clone(est).loss == loss
    assert repr(loss).split("(")[0] in repr(est)
    est.fit(X, POSITIVE)
    for copied in (pickle.loads(pickle.dumps(est)), copy.deepcopy(est)):
        assert_array_equal(copied.predict(X), est.predict(X))
        assert_array_equal(copied.partial_fit(X, POSITIVE).coefs_[0], clone_step(est))


def clone_step(est):
    return copy.deepcopy(est).partial_fit(X, POSITIVE).coefs_[0]


def test_a_grid_over_losses():
    x, y = load_diabetes(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), regressor(solver="lbfgs"))
    grid = {"backpropregressor__loss": ["squared_error", Huber(50.0), Quantile(0.5), "poisson"]}
    search = GridSearchCV(pipeline, grid, scoring="neg_mean_absolute_error", cv=3).fit(x, y)
    assert_candidates_score_as_alone(search, x, y)


@pytest.mark.parametrize("loss", [*REGRESSION_LOSSES, Quantile([0.2, 0.7])], ids=label)
def test_float32_stays_float32(loss):
    est = regressor(loss).fit(X.astype(np.float32), POSITIVE.astype(np.float32))
    assert est.predict(X.astype(np.float32)).dtype == np.float32
    double = regressor(loss).fit(X, POSITIVE)
    assert_allclose(est.predict(X.astype(np.float32)), double.predict(X), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("loss", [*REGRESSION_LOSSES, Quantile([0.2, 0.7])], ids=label)
def test_weights_of_zero_are_rows_left_out(loss):
    weight = np.r_[np.ones(40), np.zeros(40)]
    some = regressor(loss, solver="lbfgs", max_iter=20).fit(X, POSITIVE, weight)
    alone = regressor(loss, solver="lbfgs", max_iter=20).fit(X[:40], POSITIVE[:40])
    assert_allclose(some.predict(X), alone.predict(X), rtol=1e-3, atol=1e-3)
