"""Promise 7: whoever catches MLP's errors catches ours, and the message says what to do."""

import inspect
import re
from collections import OrderedDict
from math import inf, nan

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor

from bpestimator import (
    SGD,
    AdamW,
    BackpropClassifier,
    BackpropRegressor,
    Cosine,
    He,
    Huber,
    InvScaling,
    LeakyReLU,
    OneCycle,
)
from bpestimator.nn import Activation, Initializer, Loss, Softmax
from bpestimator.training import OPTIMIZERS, Optimizer, Schedule

from data import weights

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PAIRS = {BackpropClassifier: MLPClassifier, BackpropRegressor: MLPRegressor}
RNG = np.random.RandomState(0)
X = RNG.normal(size=(30, 4))
Y = RNG.permutation(np.repeat([0, 1, 2], 10))

# parameter -> (what the message says is allowed, values that are not)
PARAMETERS = {
    "hidden_layer_sizes": (
        "int or a sequence of ints, one per hidden layer, every one > 0",
        [0, -3, 2.5, "10", None, (5, 0), (5, -1), [4.5], ["4"], (5, None), [[5, 4]], nan,
         np.array(5)],
    ),
    "activation": (
        "'leaky_relu', 'logistic', 'mish', 'relu'",
        ["sigmoid", "ReLU", None, 1, np.tanh, ["relu", 1], ("tanh", "foo"), LeakyReLU, {"relu"},
         Activation()],
    ),
    "solver": (
        "'adagrad', 'adam', 'adamw', 'lbfgs', 'nadam', 'rmsprop', 'sgd', or an Optimizer",
        ["Adam", "newton", None, 3, AdamW, ["adam"], Optimizer()],
    ),
    "alpha": ("a float in the range [0, inf)", [-1e-9, nan, inf, "0.1", None, [0.1]]),
    "batch_size": ("an int in the range [1, inf) or 'auto'", [0, -5, 2.0, nan, "all", None]),
    "learning_rate": (
        "a float in the range (0, inf) (a constant rate) or one of "
        "'adaptive', 'constant', 'cosine', 'coslog4', 'exponential', 'invscaling', 'one_cycle', or "
        "a Schedule such as OneCycle(peak=0.2)",
        ["cosinus", OneCycle, [Cosine()], "Constant", None, 0, 0.0, -0.1, nan, inf, True, [0.1],
         Schedule()],
    ),
    "learning_rate_init": ("a float in the range (0, inf)", [0, -0.1, nan, inf, "0.1", None]),
    "power_t": ("a float in the range [0, inf)", [-0.5, nan, inf, "0.5", None]),
    "max_iter": ("an int in the range [1, inf)", [0, -1, 10.0, inf, nan, "10", None]),
    "shuffle": ("True or False", [1, 0, "True", None]),
    "random_state": (
        "None, an int in the range [0, 2**32), or a numpy RandomState",
        [-1, 1.5, "0", 2**32, nan, np.random.default_rng(0)],
    ),
    "tol": ("a float in the range [0, inf)", [-1e-9, nan, inf, "0.1", None]),
    "verbose": ("True, False, or an int of at least 0", [-1, "yes", 1.5, None]),
    "warm_start": ("True or False", [1, 0, "True", None]),
    "momentum": ("a float in the range [0, 1]", [-0.1, 1.1, inf, nan, "0.9", None]),
    "nesterovs_momentum": ("True or False", [1, 0, "True", None]),
    "early_stopping": ("True or False", [1, 0, "auto", None]),
    "validation_fraction": ("a float in the range [0, 1)", [-0.1, 1, 1.5, nan, "0.1", None]),
    "beta_1": ("a float in the range [0, 1)", [-0.1, 1, inf, nan, "0.9", None]),
    "beta_2": ("a float in the range [0, 1)", [-0.1, 1, inf, nan, "0.9", None]),
    "epsilon": ("a float in the range (0, inf)", [0, -1e-8, nan, inf, "1", None]),
    "n_iter_no_change": (
        "an int in the range [1, inf) or inf", [0, -1, 2.5, -inf, nan, "10", None]
    ),
    "max_fun": ("an int in the range [1, inf)", [0, -1, 15.5, inf, nan, "10", None]),
    "class_weight": (
        "None, 'balanced', a dict from label to a weight of at least 0",
        ["equal", 2, (1, 2), {0: -1}, {0: nan}, {0: inf}, {0: "1"}, [1, 2], [{0: -1}]],
    ),
    "max_time": ("a float in the range (0, inf) or None", [0, -1.0, nan, inf, "1"]),
    "max_grad_norm": ("a float in the range (0, inf) or None", [0, -1.0, nan, inf, "1"]),
    "loss": (
        "'squared_error', or a Loss such as",
        ["mse", None, 2, abs, Huber, ["focal"], Softmax(), Loss()],
    ),
    "output_activation": (
        "one of 'auto', 'exp', 'identity', 'logistic', 'softplus', 'tanh'",
        ["relu", "Exp", None, 1, np.exp],
    ),
    "scoring": (
        "None, 'loss', a name among sklearn.metrics.get_scorer_names()", ["acc", 1, True, ["r2"]]
    ),
    "diagnostics": ("True or False", [1, 0, "True", None]),
    "dropout": (
        "a float in the range [0, 1), or a list of such, one per hidden layer",
        [-0.1, 1, nan, "0.1", None, [0.1, 1], ["0.1"], {0.1: 1}, np.array(0.1)],
    ),
    "weight_init": (
        "one of 'auto', 'glorot_normal', 'glorot_uniform', 'he_normal', 'he_uniform', "
        "'lecun_normal', 'lecun_uniform', 'orthogonal', or an Initializer such as Orthogonal(",
        ["he", None, 1, He, np.zeros(3), Initializer()],
    ),
    "label_smoothing": ("a float in the range [0, 1)", [-0.1, 1, nan, "0.1", None]),
}  # fmt: skip


def label(name, value):
    return f"{name}={value!r}".partition(" at 0x")[0]  # addresses differ between processes


@pytest.mark.parametrize(
    ("kind", "name", "allowed", "value"),
    [
        pytest.param(kind, name, allowed, value, id=f"{kind.__name__} {label(name, value)}")
        for kind in PAIRS
        for name, (allowed, values) in PARAMETERS.items()
        if name in kind().get_params()
        for value in values
    ],
)
def test_a_value_that_a_parameter_cannot_have(kind, name, allowed, value):
    with pytest.raises((ValueError, TypeError)):
        (PAIRS[kind] if name in PAIRS[kind]().get_params() else kind)(**{name: value}).fit(X, Y)
    est = kind(**{name: value})  # the constructor takes anything, so that clone works
    classes = {"classes": [0, 1, 2]} if kind is BackpropClassifier else {}
    calls = {"fit": {}, "partial_fit": classes} if name != "solver" else {"fit": {}}
    for method, arguments in calls.items():
        with pytest.raises(ValueError) as ours:  # noqa: PT011 - asked below
            getattr(est, method)(X, Y, **arguments)
        assert isinstance(ours.value, TypeError)
        message = str(ours.value)
        assert message.startswith(f"The {name!r} parameter of {kind.__name__} must be ")
        assert allowed in message
        assert f"Got {value!r} instead." in message
    assert not hasattr(est, "coefs_")


@pytest.mark.parametrize(
    ("params", "hint"),
    [
        ({"solver": "Adam"}, "Did you mean 'adam'?"),
        ({"solver": AdamW}, "Did you mean AdamW()?"),
        ({"class_weight": "balance"}, "Did you mean 'balanced'?"),
        ({"activation": "ReLU"}, "Did you mean 'relu'?"),
        ({"activation": "sigmoid"}, "Did you mean 'logistic'?"),
        ({"activation": "swish"}, "Did you mean 'silu'?"),
        ({"activation": LeakyReLU}, "Did you mean LeakyReLU()?"),
        ({"activation": np.tanh}, "CustomActivation(function, derivative)"),
        ({"learning_rate": OneCycle}, "Did you mean OneCycle()?"),
        ({"learning_rate": "auto"}, "Did you mean learning_rate_init='auto'?"),
        ({"learning_rate_init": "Auto"}, "Did you mean 'auto'?"),
        ({"scoring": "acc"}, "Did you mean 'accuracy'?"),
        ({"weight_init": "he"}, "Did you mean 'he_normal'?"),
        ({"learning_rate": "inv_scaling"}, "Did you mean 'invscaling'?"),
        ({"learning_rate": "0.01"}, "Did you mean the number 0.01, without quotes?"),
        ({"loss": (64, 32)}, "Write hidden_layer_sizes=..."),
        ({"loss": Huber}, "Did you mean Huber()?"),
        ({"loss": "pinball"}, "Did you mean 'quantile'?"),
        ({"loss": "mae"}, "Did you mean 'absolute_error'?"),
        ({"loss": abs}, "CustomLoss(function, derivative)"),
        ({"output_activation": "sigmoid"}, "Did you mean 'logistic'?"),
    ],
)
def test_errors_guess_what_was_meant(params, hint):
    with pytest.raises(ValueError, match=re.escape(hint)):
        (BackpropClassifier if "class_weight" in params else BackpropRegressor)(**params).fit(X, Y)


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize(
    ("params", "remedy"),
    [
        ({"learning_rate": InvScaling(0.3), "power_t": 0.4}, "InvScaling(power_t=0.4)"),
        ({"solver": SGD(0.8), "nesterovs_momentum": False}, "SGD(nesterov=False)"),
        *[
            ({"solver": OPTIMIZERS[name](), parameter: 0.5}, f"solver={name!r}")
            for name in OPTIMIZERS
            for parameter in ("momentum", "beta_1", "beta_2", "epsilon")
            if hasattr(OPTIMIZERS[name](), parameter)
        ],
    ],
)
def test_a_number_that_an_object_would_outvote(kind, params, remedy):
    with pytest.raises(ValueError, match=re.escape(remedy)):
        kind(**params).fit(X, Y)


@pytest.mark.parametrize(
    ("params", "same"),
    [
        ({"solver": AdamW(beta_1=0.5)}, {"solver": "adamw", "beta_1": 0.5}),
        (
            {"solver": AdamW(beta_1=0.5), "beta_1": 0.5, "momentum": 0.3},
            {"solver": AdamW(beta_1=0.5)},
        ),
        ({"learning_rate": InvScaling(0.3)}, {"learning_rate": "invscaling", "power_t": 0.3}),
        (
            {"learning_rate": InvScaling(0.3), "power_t": 0.3},
            {"learning_rate": InvScaling(0.3)},
        ),
        (
            {"learning_rate": 0.1, "learning_rate_init": 0.2, "power_t": 0.3},
            {"learning_rate": 0.1},
        ),
    ],
)
def test_a_number_that_agrees_or_does_not_matter(params, same):
    ours, other = (
        BackpropClassifier(max_iter=2, random_state=0, **each).fit(X, Y) for each in (params, same)
    )
    np.testing.assert_array_equal(weights(ours), weights(other))


@pytest.mark.parametrize("name", ["cosine", "one_cycle", "coslog4"])
def test_a_schedule_that_has_come_to_its_end_says_so(name):
    net = BackpropRegressor(learning_rate=name, max_iter=5, random_state=0)
    with pytest.warns(ConvergenceWarning, match=f"'{name}' has reached its end, at a rate of"):
        net.fit(X, Y)


NOT_CONVERGED = (
    "Stochastic Optimizer: Maximum iterations (1) reached and the optimization hasn't converged "
    "yet. Increase max_iter, or raise learning_rate_init (now 0.001) or tol (now 0.0001)."
)


@pytest.mark.parametrize("params", [{}, {"solver": "sgd"}, {"early_stopping": True}], ids=str)
def test_what_is_said_after_a_single_epoch(params):
    net = BackpropRegressor(max_iter=1, random_state=0, warm_start=True, **params)
    # One epoch has neither risen nor fallen, whatever the loss was before.
    for y in (Y, 20.0 * Y):
        with pytest.warns(ConvergenceWarning) as caught:
            net.fit(X, y)
        assert [str(one.message) for one in caught] == [NOT_CONVERGED]


def test_advice_fits_what_happened():
    with pytest.warns(ConvergenceWarning, match=r"Increase max_iter, or raise learning_rate_init"):
        BackpropRegressor(max_iter=2, random_state=0).fit(X, Y)
    with pytest.warns(
        ConvergenceWarning, match=r"The loss rose .* lower learning_rate \(now 100\)"
    ):
        BackpropRegressor(max_iter=2, learning_rate=100, random_state=0).fit(X, Y)
    stalled = BackpropRegressor(tol=1e9, learning_rate=100, random_state=0).fit(X, Y)
    assert re.search("10 epochs.*loss rose .* lower learning_rate", stalled.stop_reason_)
    with pytest.warns(ConvergenceWarning, match=r"Raise tol .*early_stopping.*\(auto found"):
        BackpropRegressor(learning_rate_init="auto", tol=0, max_iter=30, random_state=0).fit(X, Y)
    with pytest.warns(UserWarning, match="not used by solver='lbfgs'"):
        BackpropRegressor(solver="lbfgs", learning_rate=0.1, max_iter=500).fit(X, Y)


@pytest.mark.parametrize("kind", PAIRS)
def test_the_class_of_the_error_is_that_of_mlp(kind):
    raised = []
    for each in (kind, PAIRS[kind]):
        with pytest.raises(ValueError, match="'alpha' parameter") as error:
            each(alpha=-1).fit(X, Y)
        raised.append(type(error.value))
    assert raised[0] is raised[1]


def test_every_parameter_is_in_the_table():
    for kind in PAIRS:
        assert set(kind().get_params()) <= set(PARAMETERS)


ACCEPTED = {
    "hidden_layer_sizes": [
        3, (3,), [3, 2], (), [], np.array([3, 2]), np.int64(3), pd.Series([3, 2]), range(2, 4)
    ],
    "activation": [np.str_("tanh")],
    "alpha": [0, 1, np.float32(0.5)],
    "batch_size": [1, np.int32(4), "auto"],
    "learning_rate_init": [1, np.float32(0.01), 1e-300],
    "power_t": [0, 2],
    "max_iter": [1, np.int64(2)],
    "shuffle": [True, np.False_],
    "random_state": [None, 0, np.uint32(7), 2**32 - 1, np.random.RandomState(0)],
    "tol": [0, 1],
    "verbose": [False, 0, np.False_],
    "momentum": [0, 1, np.float64(0.5)],
    "validation_fraction": [0, 0.99],
    "beta_1": [0, 0.99],
    "beta_2": [0, 0.5],
    "epsilon": [1, 1e-300],
    "n_iter_no_change": [1, inf, np.inf, np.int8(3)],
    "max_fun": [1, np.int64(9)],
}  # fmt: skip


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=label(name, value))
        for name, values in ACCEPTED.items()
        for value in values
    ],
)
def test_a_value_that_a_parameter_can_have(kind, name, value, solver):
    params = {"max_iter": 2, "random_state": 0, "solver": solver, name: value}
    PAIRS[kind](**params).fit(X, Y)
    assert kind(**params).fit(X, Y).predict(X).shape == Y.shape


def classifier(**params):
    return BackpropClassifier, {"max_iter": 2, "random_state": 0, **params}


def regressor(**params):
    return BackpropRegressor, {"max_iter": 2, "random_state": 0, **params}


def changed(array, value, dtype=float):
    array = np.array(array, dtype)
    array.flat[0] = value
    return array


HELD_OUT = {"early_stopping": True}
RARE = np.array([0] * 29 + [1])

# what is wrong -> (estimator, call, what the message says)
DATA = {
    "NaN in X": (classifier(), lambda e: e.fit(changed(X, nan), Y), "X contains NaN"),
    "inf in X": (regressor(), lambda e: e.fit(changed(X, inf), Y), "X contains infinity"),
    "NaN in y": (regressor(), lambda e: e.fit(X, changed(Y, nan)), "y contains NaN"),
    "NaN among classes": (classifier(), lambda e: e.fit(X, changed(Y, nan)), "y contains NaN"),
    "NaN in sparse X": (
        classifier(), lambda e: e.fit(sp.csr_matrix(changed(X, nan)), Y), "contains NaN"
    ),
    "X of one dimension": (classifier(), lambda e: e.fit(X[:, 0], Y), "Expected 2D array"),
    "X of three dimensions": (classifier(), lambda e: e.fit(X[None], Y), "dim 3"),
    "no rows": (regressor(), lambda e: e.fit(X[:0], Y[:0]), r"0 sample\(s\)"),
    "no features": (regressor(), lambda e: e.fit(X[:, :0], Y), r"0 feature\(s\)"),
    "y too short": (classifier(), lambda e: e.fit(X, Y[:-1]), r"inconsistent.*\[30, 29\]"),
    "no y": (regressor(), lambda e: e.fit(X, None), "requires y to be passed"),
    "words in X": (classifier(), lambda e: e.fit(np.full((30, 4), "a"), Y), "convert"),
    "words in y": (regressor(), lambda e: e.fit(X, np.full(30, "a", object)), "convert"),
    "complex X": (classifier(), lambda e: e.fit(X + 1j, Y), "Complex data not supported"),
    "y of three dimensions": (regressor(), lambda e: e.fit(X, np.zeros((30, 2, 2))), "dim 3"),
    "continuous classes": (classifier(), lambda e: e.fit(X, X[:, 0]), "Unknown label type"),
    "classes of several outputs": (
        classifier(), lambda e: e.fit(X, np.c_[Y, Y]), "[Mm]ultioutput"
    ),
    "weights too short": (
        classifier(), lambda e: e.fit(X, Y, np.ones(29)), r"\(29,\), expected \(30,\)"
    ),
    "weights of two dimensions": (
        regressor(), lambda e: e.fit(X, Y, np.ones((30, 1))), "must be 1D array or scalar"
    ),
    "NaN among weights": (
        regressor(), lambda e: e.fit(X, Y, changed(Y, nan)), "sample_weight contains NaN"
    ),
    "words as weights": (regressor(), lambda e: e.fit(X, Y, ["a"] * 30), "convert"),
    "validation set too small": (
        regressor(**HELD_OUT, validation_fraction=0.01), lambda e: e.fit(X, Y),
        "validation set is too small. Increase 'validation_fraction'",
    ),
    "no validation set": (
        regressor(**HELD_OUT, validation_fraction=0),
        lambda e: e.fit(X, Y),
        "needs a 'validation_fraction' above 0",
    ),
    "a class too rare to split": (
        classifier(**HELD_OUT), lambda e: e.fit(X, RARE), "least populated class"
    ),
    "warm start with another class": (
        classifier(warm_start=True), lambda e: e.fit(X, Y).fit(X, Y + 1), "same classes"
    ),
    "warm start with fewer classes": (
        classifier(warm_start=True), lambda e: e.fit(X, Y).fit(X, Y // 2), "same classes"
    ),
    "warm start with other features": (
        classifier(warm_start=True), lambda e: e.fit(X, Y).fit(X[:, :3], Y), "expecting 4 features"
    ),
    "other features to predict": (
        classifier(), lambda e: e.fit(X, Y).predict(X[:, :3]), "expecting 4 features"
    ),
    "NaN to predict": (
        classifier(), lambda e: e.fit(X, Y).predict_proba(changed(X, nan)), "contains NaN"
    ),
    "one row of one dimension": (
        regressor(), lambda e: e.fit(X, Y).predict(X[0]), "Reshape your data"
    ),
    "partial_fit without classes": (
        classifier(), lambda e: e.partial_fit(X, Y), "classes must be passed on the first call"
    ),
    "partial_fit with other classes": (
        classifier(),
        lambda e: e.partial_fit(X, Y, classes=[0, 1, 2]).partial_fit(X, Y, classes=[0, 1, 3]),
        r"not the same as on last call to partial_fit, was: array\(\[0, 1, 2\]\)",
    ),
    "partial_fit with a class not announced": (
        classifier(), lambda e: e.partial_fit(X, Y, classes=[0, 1]),
        r"`y` has classes not in `self.classes_`. `self.classes_` has \[0 1\]. 'y' has \[0 1 2\]",
    ),
    "partial_fit with a class never seen": (
        classifier(), lambda e: e.fit(X, Y).partial_fit(X, Y + 1), "`y` has classes not in"
    ),
    "partial_fit with other features": (
        regressor(), lambda e: e.partial_fit(X, Y).partial_fit(X[:, :3], Y), "expecting 4 features"
    ),
    "partial_fit with early stopping": (
        regressor(**HELD_OUT), lambda e: e.partial_fit(X, Y),
        "partial_fit does not support early_stopping=True",
    ),
    "partial_fit with early stopping of classes": (
        classifier(**HELD_OUT), lambda e: e.partial_fit(X, Y, classes=[0, 1, 2]),
        "partial_fit does not support early_stopping=True",
    ),
    "partial_fit by lbfgs of classes": (
        classifier(solver="lbfgs"), lambda e: e.partial_fit(X, Y, classes=[0, 1, 2]),
        "has no attribute 'partial_fit'",
    ),
    "weights that overflow": (
        regressor(solver="sgd", learning_rate_init=1.0), lambda e: e.fit(X, 1e200 * Y),
        "non-finite parameter weights.*learning_rate_init",
    ),
    "unfitted predict": (classifier(), lambda e: e.predict(X), "not fitted yet"),
    "unfitted predict_proba": (classifier(), lambda e: e.predict_proba(X), "not fitted yet"),
    "unfitted regressor": (regressor(), lambda e: e.predict(X), "not fitted yet"),
}  # fmt: skip


# What MLP lets pass: a loss that is not a number, lbfgs all over again, and before
# scikit-learn 1.9 a division by zero.
OURS = {
    "weights all zero": (classifier(), lambda e: e.fit(X, Y, np.zeros(30)), "non-zero"),
    "weight zero": (classifier(), lambda e: e.fit(X, Y, 0), "non-zero"),
    "negative counts": (
        regressor(loss="poisson"), lambda e: e.fit(X, Y - 1.0),
        "loss='poisson' takes targets of at least 0. Got -1 instead",
    ),
    "negative counts for lbfgs": (
        regressor(loss="poisson", solver="lbfgs"), lambda e: e.fit(X, Y - 2.5), "Got -2.5 instead"
    ),
    "partial_fit by lbfgs": (
        regressor(solver="lbfgs"), lambda e: e.partial_fit(X, Y), "has no attribute 'partial_fit'"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("estimator", "call", "says"), DATA.values(), ids=DATA)
def test_data_that_cannot_be_learnt(estimator, call, says):
    kind, params = estimator
    expected = (ValueError, TypeError, AttributeError, NotFittedError)
    with np.errstate(all="ignore"), pytest.raises(expected) as theirs:
        call(PAIRS[kind](**params))
    with pytest.raises(type(theirs.value), match=says):
        call(kind(**params))


@pytest.mark.parametrize(("estimator", "call", "says"), OURS.values(), ids=OURS)
def test_data_that_only_we_refuse(estimator, call, says):
    kind, params = estimator
    with pytest.raises((ValueError, AttributeError), match=says):
        call(kind(**params))


def test_methods_exist_where_they_work():
    assert not hasattr(BackpropClassifier(solver="lbfgs"), "partial_fit")
    assert not hasattr(BackpropRegressor(solver="lbfgs"), "partial_fit")
    assert not hasattr(BackpropRegressor(), "predict_proba")


# Warnings say what to do, and point at the line that called.
WARNINGS = {
    "epochs": (regressor(), "fit", "Maximum iterations .2. reached.*Increase max_iter"),
    "iterations": (regressor(solver="lbfgs"), "fit", "failed to converge after 2.*max_iter .now 2"),
    "calls": (regressor(solver="lbfgs", max_fun=1, max_iter=50), "fit", "max_fun .now 1"),
    "fit of large batches": (regressor(batch_size=31), "fit", "larger than sample size.*31 to 30"),
    "partial_fit of large batches": (regressor(batch_size=31), "partial_fit", "larger than sample"),
    "nothing to score": (regressor(scoring="r2"), "fit", "nothing to score"),
    "no iteration to score": (regressor(scoring="r2", solver="lbfgs"), "fit", "nothing to score"),
}  # fmt: skip


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("estimator", "method", "says"), WARNINGS.values(), ids=WARNINGS)
def test_warnings_point_at_the_caller(estimator, method, says):
    kind, params = estimator
    with pytest.warns(UserWarning, match=says) as caught:
        getattr(kind(**params), method)(X, Y)
    assert [w.filename for w in caught if re.search(says, str(w.message))] == [__file__]


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_column_as_y_is_told_at_the_caller(kind):
    column = (Y > 0).astype(int)[:, None] if "Classifier" in kind.__name__ else Y[:, None]
    for options in ({}, {"X_val": X, "y_val": column}):
        for method in ("fit", "partial_fit"):
            known = {"classes": [0, 1]} if "Cl" in kind.__name__ and method != "fit" else {}
            with pytest.warns(DataConversionWarning, match=r"shape \(30, 1\)") as caught:
                getattr(kind(max_iter=2), method)(X, column, **known, **options)
            told = [w for w in caught if w.category is DataConversionWarning]
            assert [w.filename for w in told] == [__file__] * (1 + len(options) // 2)


# The signature is MLP's, with more at its end.


@pytest.mark.parametrize("kind", PAIRS)
def test_parameters_are_those_of_mlp(kind):
    mine, expected = (
        OrderedDict(inspect.signature(k.__init__).parameters) for k in (kind, PAIRS[kind])
    )
    for name in list(mine)[len(expected) :]:
        assert mine.pop(name).kind is inspect.Parameter.KEYWORD_ONLY
    assert [(p.name, p.kind, p.default) for p in mine.values()] == [
        (p.name, p.kind, p.default) for p in expected.values()
    ]


@pytest.mark.parametrize("kind", PAIRS)
def test_methods_are_those_of_mlp(kind):
    for name, method in inspect.getmembers(PAIRS[kind](), callable):
        if name.startswith("_"):
            continue
        mine, expected = (
            inspect.signature(m).parameters.values() for m in (getattr(kind(), name), method)
        )
        shared = [(p.name, p.default) for p in mine if p.kind is not p.KEYWORD_ONLY]
        wanted = [(p.name, p.default) for p in expected if p.kind is not p.KEYWORD_ONLY]
        assert shared == wanted, name


@pytest.mark.parametrize("name", ["alpha", "learning_rate_init", "tol", "max_time", "epsilon"])
def test_a_number_too_large_for_a_float_is_named(name):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of .* Got 1000"):
        BackpropClassifier(**{name: 10**400}).fit([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize("sizes", [True, [True], (5, False), np.True_])
def test_flags_are_no_sizes(sizes):
    with pytest.raises(ValueError, match="The 'hidden_layer_sizes' parameter of"):
        BackpropClassifier(hidden_layer_sizes=sizes).fit([[0.0], [1.0]], [0, 1])
