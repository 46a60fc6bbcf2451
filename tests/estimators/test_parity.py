"""Promise 1: the same parameters and random_state give scikit-learn's numbers, to the bit."""

import copy
import warnings
from functools import cache
from itertools import product
from math import inf

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from sklearn import datasets
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import scale
from sklearn.utils.fixes import parse_version

from bpestimator import BackpropClassifier, BackpropRegressor

OURS = {"classifier": BackpropClassifier, "regressor": BackpropRegressor}
THEIRS = {"classifier": MLPClassifier, "regressor": MLPRegressor}
LOSSES = ("loss_", "loss_curve_", "best_loss_")

# scikit-learn before 1.9 cannot score string labels in early stopping.
needs_19 = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="scikit-learn bug #33760"
)


def scaled(load, n=None):
    X, y = load(return_X_y=True)
    return scale(X)[:n], y[:n]


def shuffled(load, n):
    X, y = scaled(load)
    rows = np.random.RandomState(0).permutation(len(X))[:n]
    return X[rows], y[rows]


def numbers(n_targets, n=150):
    X, y = datasets.make_regression(
        n, 6, n_informative=4, n_targets=n_targets, noise=5.0, random_state=1
    )
    return X, scale(y)


def counts():
    X, y = numbers(1)
    return X, np.random.RandomState(0).poisson(np.exp(0.5 * y)).astype(float)


def labels():
    return datasets.make_multilabel_classification(120, 8, n_classes=4, random_state=0)


def sparse(container):
    X = sp.random(130, 12, density=0.3, format="csr", random_state=0)
    return container(X), np.random.RandomState(0).randint(0, 3, 130)


def relabelled(names):
    X, y = shuffled(datasets.load_iris, 150)
    return X, np.array(names)[y]


CLASSIFICATION = {
    "iris": lambda: shuffled(datasets.load_iris, 150),
    "wine": lambda: shuffled(datasets.load_wine, 178),
    "digits": lambda: scaled(datasets.load_digits, 250),
    "cancer": lambda: shuffled(datasets.load_breast_cancer, 200),
    "multilabel": labels,
    "one class": lambda: (numbers(1)[0], np.full(150, 7)),
    "strings": lambda: relabelled(["setosa", "versicolor", "virginica"]),
    "objects": lambda: relabelled(np.array(["b", "a", "c"], dtype=object)),
    "two strings": lambda: relabelled(["no", "yes", "yes"]),
    "float labels": lambda: relabelled([2.0, -1.0, 0.0]),
    "booleans": lambda: relabelled([True, False, False]),
    "csr": lambda: sparse(sp.csr_matrix),
    "csc": lambda: sparse(sp.csc_matrix),
    "csr array": lambda: sparse(sp.csr_array),
    "integers": lambda: datasets.load_digits(n_class=3, return_X_y=True),
    "series": lambda: (
        pd.DataFrame(shuffled(datasets.load_iris, 150)[0]),
        pd.Series(relabelled(["p", "q", "r"])[1]),
    ),
    "column": lambda: (
        shuffled(datasets.load_iris, 90)[0],
        shuffled(datasets.load_iris, 90)[1].reshape(-1, 1),
    ),
    "sparse multilabel": lambda: (labels()[0], sp.csr_matrix(labels()[1])),
    "lists": lambda: tuple(a.tolist() for a in shuffled(datasets.load_iris, 60)),
}
REGRESSION = {
    "diabetes": lambda: (scaled(datasets.load_diabetes, 200)[0], numbers(1, 200)[1]),
    "one output": lambda: numbers(1),
    "two outputs": lambda: numbers(2),
    "five outputs": lambda: numbers(5),
    "counts": counts,
    "fortran": lambda: (np.asfortranarray(numbers(1)[0]), numbers(1)[1]),
    "strided": lambda: (numbers(1, 300)[0][::2], numbers(1, 300)[1][::2]),
    "frame": lambda: (pd.DataFrame(numbers(1)[0], columns=list("abcdef")), numbers(1)[1]),
    "csr numbers": lambda: (sp.csr_matrix(numbers(2)[0].round()), numbers(2)[1]),
    "data frame y": lambda: (numbers(2)[0], pd.DataFrame(numbers(2)[1], columns=["u", "v"])),
    "integer y": lambda: (numbers(1)[0], (10 * numbers(1)[1]).astype(int)),
}


@cache
def data(name):
    """X, y and weights for the rows, a third of them zero."""
    X, y = (CLASSIFICATION.get(name) or REGRESSION[name])()
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    weight = np.random.RandomState(5).uniform(0, 3, n_rows)
    weight[np.random.RandomState(6).permutation(n_rows)[: n_rows // 3]] = 0
    return X, y, weight


def estimators(dataset, params):
    """Ours and scikit-learn's, on random numbers of their own."""
    kind = "classifier" if dataset in CLASSIFICATION else "regressor"
    settings = {"random_state": 3, "hidden_layer_sizes": (9,), "max_iter": 8, **params}
    return tuple(table[kind](**copy.deepcopy(settings)) for table in (OURS, THEIRS))


def heard(call, *args, **kwargs):
    """Categories of the warnings that users would see; other than of overflow."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*args, **kwargs)
    return [w.category for w in caught if not issubclass(w.category, RuntimeWarning)]


def assert_same(ours, theirs, X):
    told = [name for name in vars(theirs) if name.endswith("_") and not name.startswith("_")]
    assert {"coefs_", "intercepts_", "n_iter_", "t_", "loss_", "out_activation_"} <= set(told)
    for name in told:
        mine, expected = getattr(ours, name), getattr(theirs, name)
        if name in ("coefs_", "intercepts_"):
            assert len(mine) == len(expected), name
            for layer, (a, b) in enumerate(zip(mine, expected, strict=True)):
                assert a.dtype == b.dtype, (name, layer)
                assert np.array_equal(a, b), (name, layer, np.abs(a - b).max())
        elif name in LOSSES and expected is not None:
            np.testing.assert_allclose(mine, expected, rtol=1e-12, atol=1e-15, err_msg=name)
        else:
            np.testing.assert_array_equal(mine, expected, err_msg=name, strict=True)
    for method in ("predict", "predict_proba"):
        if hasattr(theirs, method):
            mine, expected = getattr(ours, method)(X), getattr(theirs, method)(X)
            assert type(mine) is type(expected)
            if sp.issparse(expected):
                mine, expected = mine.toarray(), expected.toarray()
            np.testing.assert_array_equal(mine, expected, err_msg=method, strict=True)


def row(dataset, weight=None, marks=(), **params):
    """``weight`` is the dtype of the sample weights, if any."""
    return pytest.param(dataset, params, weight, marks=marks)


SGD = {"solver": "sgd", "learning_rate_init": 0.05}
STOP = {"early_stopping": True, "max_iter": 30, "n_iter_no_change": 4}
FAST_STOP = {**STOP, "learning_rate_init": 0.03}

PARITY = {
    **{
        f"{dataset} {solver} {activation}": row(dataset, solver=solver, activation=activation)
        for dataset, solver, activation in product(
            ("iris", "two outputs"),
            ("adam", "sgd", "lbfgs"),
            ("identity", "logistic", "tanh", "relu"),
        )
    },
    # Schedules and momentum
    "invscaling": row("wine", **SGD, learning_rate="invscaling"),
    "invscaling power_t": row("one output", **SGD, learning_rate="invscaling", power_t=0.1),
    "adaptive": row("iris", **SGD, learning_rate="adaptive", tol=0.05, n_iter_no_change=1,
                    max_iter=60),
    "adaptive to the end": row("one output", solver="sgd", learning_rate="adaptive", tol=10.0,
                               learning_rate_init=1e-4, n_iter_no_change=1, max_iter=60),
    "adaptive with early stopping": row("wine", solver="sgd", learning_rate="adaptive", **STOP),
    "plain gradient descent": row("iris", **SGD, momentum=0),
    "momentum without nesterov": row("digits", **SGD, nesterovs_momentum=False),
    "momentum 1": row("iris", solver="sgd", momentum=1.0, max_iter=3),
    "adam constants": row("wine", beta_1=0.5, beta_2=0.9, epsilon=1e-4),
    "adam without memory": row("wine", beta_1=0.0, beta_2=0.0),
    # Losses and kinds of target
    "poisson adam": row("counts", loss="poisson"),
    "poisson sgd": row("counts", loss="poisson", solver="sgd"),
    "poisson lbfgs": row("counts", loss="poisson", solver="lbfgs"),
    "poisson weighted": row("counts", weight=float, loss="poisson"),
    "poisson early stopping": row("counts", loss="poisson", **FAST_STOP),
    "binary adam": row("cancer"),
    "binary sgd": row("cancer", **SGD),
    "binary lbfgs": row("cancer", solver="lbfgs"),
    "multilabel adam": row("multilabel"),
    "multilabel sgd": row("multilabel", **SGD),
    "multilabel lbfgs": row("multilabel", solver="lbfgs"),
    "one class": row("one class"),
    "one class lbfgs": row("one class", solver="lbfgs"),
    "ten classes": row("digits", hidden_layer_sizes=(30,)),
    "string labels": row("strings"),
    "object labels": row("objects"),
    "two string labels": row("two strings"),
    "float labels": row("float labels"),
    "boolean labels": row("booleans"),
    "pandas labels": row("series"),
    "labels in a column": row("column"),
    "sparse labels": row("sparse multilabel"),
    "pandas targets": row("data frame y", **SGD),
    "integer targets": row("integer y"),
    "one output": row("diabetes", solver="lbfgs", max_iter=40),
    "five outputs": row("five outputs", **SGD),
    "five outputs lbfgs": row("five outputs", solver="lbfgs"),
    # Early stopping
    "early stopping multiclass": row("wine", **FAST_STOP),
    "early stopping binary": row("cancer", **FAST_STOP),
    "early stopping multilabel": row("multilabel", **FAST_STOP),
    "early stopping one output": row("diabetes", **FAST_STOP),
    "early stopping two outputs": row("two outputs", **FAST_STOP),
    "early stopping sgd": row("one output", **STOP, **SGD),
    "early stopping weighted": row("wine", weight=float, **FAST_STOP),
    "early stopping weighted regressor": row("diabetes", weight=float, **FAST_STOP),
    "early stopping third held out": row("iris", **FAST_STOP, validation_fraction=1 / 3),
    "early stopping csr": row("csr", **FAST_STOP),
    "early stopping csc": row("csc", **FAST_STOP),
    "early stopping strings": row("strings", marks=needs_19, **FAST_STOP),
    "early stopping two strings": row("two strings", marks=needs_19, **FAST_STOP),
    "early stopping unshuffled": row("digits", **FAST_STOP, shuffle=False),
    # Weights, zeros among them
    "weighted adam": row("wine", weight=float),
    "weighted sgd": row("five outputs", weight=float, **SGD),
    "weighted lbfgs": row("cancer", weight=float, solver="lbfgs"),
    "weighted multilabel": row("multilabel", weight=float),
    "weighted csr": row("csr", weight=float),
    "weighted small batches": row("iris", weight=float, batch_size=17),
    "weights of float32": row("wine", weight=np.float32),
    "weights of float32 lbfgs": row("cancer", weight=np.float32, solver="lbfgs"),
    "weights of int": row("two outputs", weight=int),
    # Batches
    "batches of 1": row("iris", batch_size=1, max_iter=3),
    "batches of 7": row("two outputs", batch_size=7),
    "batches of 37": row("digits", batch_size=37),
    "batches larger than the data": row("wine", batch_size=1000),
    "one batch": row("iris", batch_size=150),
    "batches that divide": row("iris", batch_size=50),
    "last batch of 1": row("iris", batch_size=149),
    "unshuffled": row("two outputs", shuffle=False, batch_size=32),
    # Architectures
    "five layers": row("digits", hidden_layer_sizes=(12, 11, 10, 9, 8), batch_size=50),
    "five layers tanh": row("one output", hidden_layer_sizes=(5,) * 5, activation="tanh", **SGD),
    "no hidden layer": row("iris", hidden_layer_sizes=()),
    "no hidden layer lbfgs": row("two outputs", hidden_layer_sizes=(), solver="lbfgs"),
    "int of units": row("cancer", hidden_layer_sizes=13),
    "list of units": row("cancer", hidden_layer_sizes=[6, 5]),
    "array of units": row("cancer", hidden_layer_sizes=np.array([6, 5])),
    "one unit": row("diabetes", hidden_layer_sizes=1, activation="logistic"),
    "default units": row("iris", hidden_layer_sizes=(100,)),
    # Rates at which any other rounding would soon show
    "rate 0.1": row("digits", learning_rate_init=0.1, max_iter=25),
    "rate 0.5": row("iris", learning_rate_init=0.5, max_iter=40, batch_size=20),
    "rate 1.0": row("iris", learning_rate_init=1.0, max_iter=40, batch_size=20),
    "rate 0.5 sgd": row("cancer", solver="sgd", learning_rate_init=0.5, momentum=0.5),
    "rate of float32": row("iris", learning_rate_init=np.float32(0.1)),
    # Stopping and penalty
    "tol 0": row("iris", tol=0, max_iter=30),
    "converged": row("wine", tol=0.1, n_iter_no_change=2, max_iter=100, learning_rate_init=0.05),
    "never stop": row("iris", n_iter_no_change=inf, tol=10.0, max_iter=30),
    "alpha 0": row("wine", alpha=0),
    "alpha 10": row("two outputs", alpha=10.0),
    "alpha 1 lbfgs": row("digits", alpha=1, solver="lbfgs"),
    "few function calls": row("wine", solver="lbfgs", max_fun=3),
    "lbfgs converged": row("one output", solver="lbfgs", alpha=1.0, tol=1e-2, max_iter=400),
    # Containers of X
    "csr": row("csr"),
    "csc": row("csc", batch_size=25),
    "csr array": row("csr array", batch_size=25),
    "csr unshuffled": row("csr", shuffle=False, batch_size=25),
    "csr lbfgs": row("csr", solver="lbfgs"),
    "csr regressor": row("csr numbers", **SGD),
    "fortran": row("fortran", batch_size=32),
    "fortran unshuffled": row("fortran", shuffle=False, batch_size=32),
    "fortran unshuffled linear": row("fortran", shuffle=False, hidden_layer_sizes=(),
                                        batch_size=33),
    "fortran lbfgs": row("fortran", solver="lbfgs"),
    "strided": row("strided", batch_size=32),
    "strided unshuffled": row("strided", shuffle=False, batch_size=32),
    "strided lbfgs": row("strided", solver="lbfgs"),
    "data frame": row("frame"),
    "integers": row("integers", learning_rate_init=1e-4),
    "lists": row("lists"),
    # Randomness
    "random_state instance": row("iris", random_state=np.random.RandomState(11)),
    "random_state 0": row("iris", random_state=0),
}  # fmt: skip


@pytest.mark.parametrize(("dataset", "params", "weight"), PARITY.values(), ids=PARITY)
def test_fit(dataset, params, weight):
    ours, theirs = estimators(dataset, params)
    X, y, weights = data(dataset)
    weight = weight and weights.astype(weight)
    warned = [heard(est.fit, X, y, weight) for est in (ours, theirs)]
    assert warned[0] == warned[1]
    assert_same(ours, theirs, X)


@pytest.mark.parametrize("dtype", ["int8", "bool", "float16", "float32", "int64", "object", ">f8"])
@pytest.mark.parametrize("dataset", ["iris", "two outputs"])
def test_rows_of_other_dtypes_are_predicted(dataset, dtype):
    pair = estimators(dataset, {"max_iter": 2})
    X, y, _ = data(dataset)
    for est in pair:
        heard(est.fit, X, y)
    assert_same(*pair, X.astype(dtype))


@pytest.mark.parametrize("dataset", ["iris", "cancer", "multilabel", "two outputs"])
def test_thousands_of_rows_are_predicted(dataset):
    pair = estimators(dataset, {"max_iter": 2, "hidden_layer_sizes": (50, 20)})
    X, y, _ = data(dataset)
    for est in pair:
        heard(est.fit, X, y)
    assert_same(*pair, np.random.RandomState(0).normal(size=(4096, X.shape[1])))


@pytest.mark.parametrize("dataset", ["iris", "cancer", "multilabel"])
def test_ties_are_broken_alike(dataset):
    pair = estimators(dataset, {"max_iter": 1})
    X, y, _ = data(dataset)
    for est in pair:
        heard(est.fit, X, y)
        for array in est.coefs_ + est.intercepts_:
            array[...] = 0
    assert_same(*pair, X)


def test_the_global_random_state():
    ours, theirs = estimators("iris", {"random_state": None, "max_iter": 3})
    X, y, _ = data("iris")
    for est in (ours, theirs):
        np.random.seed(8)  # noqa: NPY002
        heard(est.fit, X, y)
    assert_same(ours, theirs, X)


def chunks(n=6, size=23, weighted=False):
    return [("partial_fit", slice(size * k, size * (k + 1)), weighted, {}) for k in range(n)]


def fit(weighted=False, **params):
    return "fit", slice(None), weighted, params


def partial_fit(weighted=False, **params):
    return "partial_fit", slice(None), weighted, params


WARM = {"warm_start": True, "max_iter": 4}

# name -> (data, params, calls one after another)
TRAJECTORIES = {
    "chunks adam": ("iris", {}, chunks()),
    "chunks sgd": ("two outputs", SGD, chunks()),
    "chunks weighted": ("wine", {}, chunks(weighted=True)),
    "chunks weighted now and then": ("wine", {}, chunks(2) + chunks(2, weighted=True) + chunks(2)),
    "chunks invscaling": ("iris", {**SGD, "learning_rate": "invscaling"}, chunks()),
    "chunks adaptive": (
        "one output",
        {**SGD, "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1},
        chunks(),
    ),
    "chunks multilabel": ("multilabel", {}, chunks(5)),
    "chunks binary": ("cancer", SGD, chunks()),
    "chunks csr": ("csr", {}, chunks(5)),
    "chunks of other sizes": ("iris", {"batch_size": 8}, chunks(3, 40) + chunks(3, 11)),
    "chunks one shared random_state": (
        "iris", {"random_state": np.random.RandomState(2)}, chunks()
    ),
    "chunks poisson": ("counts", {"loss": "poisson"}, chunks()),
    "partial_fit many times": ("iris", {}, [partial_fit()] * 12),
    "partial_fit then stalls": (
        "iris", {"tol": 10.0, "n_iter_no_change": 2}, [partial_fit()] * 6
    ),
    "fit then partial_fit adam": ("iris", {}, [fit(), *chunks(3)]),
    "fit then partial_fit sgd": ("two outputs", SGD, [fit(), *chunks(3)]),
    "fit then partial_fit invscaling": (
        "iris", {**SGD, "learning_rate": "invscaling"}, [fit(), *chunks(3)]
    ),
    "fit then partial_fit adaptive": (
        "one output",
        {**SGD, "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1},
        [fit(), *chunks(5)],
    ),
    "partial_fit then fit": ("iris", {}, [partial_fit(), partial_fit(), fit()]),
    "fit twice": ("iris", {}, [fit(), fit()]),
    "fit twice, one shared random_state": (
        "iris", {"random_state": np.random.RandomState(2)}, [fit(), fit(), *chunks(2)]
    ),
    "warm adam": ("iris", WARM, [fit(), fit(max_iter=7)]),
    "warm sgd": ("two outputs", {**WARM, **SGD}, [fit(), fit(max_iter=7), fit()]),
    "warm sgd invscaling": (
        "iris", {**WARM, **SGD, "learning_rate": "invscaling"}, [fit(), fit(), fit()]
    ),
    "warm sgd adaptive": (
        "iris",
        {**WARM, **SGD, "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1},
        [fit(), fit(), fit()],
    ),
    "warm lbfgs": ("wine", {**WARM, "solver": "lbfgs"}, [fit(), fit(), fit(max_iter=30)]),
    "warm early stopping": (
        "wine", {**WARM, "early_stopping": True}, [fit(), fit(), fit(max_iter=20)]
    ),
    "warm early stopping regressor": (
        "diabetes", {**WARM, "early_stopping": True, **SGD}, [fit(), fit(), fit(max_iter=20)]
    ),
    "warm weighted": ("digits", WARM, [fit(), fit(weighted=True)]),
    "warm then partial_fit": ("iris", WARM, [fit(), fit(), partial_fit(), partial_fit()]),
    "warm converged again": (
        "iris", {**WARM, "tol": 10.0, "n_iter_no_change": 2, "max_iter": 30}, [fit(), fit(), fit()]
    ),
    "warm other batch size": ("iris", WARM, [fit(), fit(batch_size=20), fit(shuffle=False)]),
    "warm other alpha and rate": ("iris", WARM, [fit(), fit(alpha=1.0, learning_rate_init=0.1)]),
    "warm one shared random_state": (
        "iris", {**WARM, "random_state": np.random.RandomState(2)}, [fit(), fit(), fit()]
    ),
}  # fmt: skip


@pytest.mark.parametrize(("dataset", "params", "calls"), TRAJECTORIES.values(), ids=TRAJECTORIES)
def test_calls_one_after_another(dataset, params, calls):
    pair = estimators(dataset, params)
    X, y, weight = data(dataset)
    for number, (method, rows, weighted, changes) in enumerate(calls):
        warned = []
        for est in pair:
            est.set_params(**changes)
            arguments = {"sample_weight": weight[rows] if weighted else None}
            if method == "partial_fit" and number == 0 and dataset in CLASSIFICATION:
                arguments["classes"] = np.arange(y.shape[1]) if y.ndim == 2 else np.unique(y)
            warned.append(heard(getattr(est, method), X[rows], y[rows], **arguments))
        assert warned[0] == warned[1], number
        assert_same(*pair, X)


FLOAT32 = {
    "adam": ("digits", {}),
    "sgd": ("cancer", SGD),
    "lbfgs": ("iris", {"solver": "lbfgs"}),
    "regressor": ("two outputs", {}),
    "poisson": ("counts", {"loss": "poisson"}),
    "multilabel": ("multilabel", {}),
    "csr": ("csr", {}),
    "early stopping": ("wine", {"early_stopping": True}),
}


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize(("dataset", "params"), FLOAT32.values(), ids=FLOAT32)
def test_float32_is_kept_and_close(dataset, params, weighted):
    ours, theirs = estimators(dataset, {**params, "max_iter": 4})
    X, y, weight = data(dataset)
    X, weight = X.astype(np.float32), weight.astype(np.float32) if weighted else None
    for est in (ours, theirs):
        heard(est.fit, X, y, weight)
    assert {a.dtype for a in ours.coefs_ + ours.intercepts_} == {np.dtype(np.float32)}
    predict = "predict_proba" if dataset in CLASSIFICATION else "predict"
    mine, expected = (getattr(est, predict)(X) for est in (ours, theirs))
    assert mine.dtype == np.float32
    np.testing.assert_allclose(mine, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-4)


# What scikit-learn does not have: learning_rate as a number, and schedules under adam.


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("dataset", ["iris", "two outputs"])
@pytest.mark.parametrize("rate", [0.01, 1, np.float32(0.01)], ids=["float", "int", "float32"])
def test_a_number_as_learning_rate_is_learning_rate_init(dataset, solver, rate):
    X, y, _ = data(dataset)
    given, _ = estimators(dataset, {"solver": solver, "learning_rate": rate, "max_iter": 3})
    _, theirs = estimators(
        dataset, {"solver": solver, "learning_rate_init": float(rate), "max_iter": 3}
    )
    given.set_params(learning_rate_init=0.7)  # a number takes precedence
    for est in (given, theirs):
        heard(est.fit, X, y)
    assert_same(given, theirs, X)


def test_a_grid_of_learning_rates_is_a_grid_of_learning_rate_init():
    X, y, _ = data("iris")
    ours, theirs = estimators("iris", {})
    rates = [1e-3, 1e-2, 0.1]
    searches = [
        GridSearchCV(ours, {"learning_rate": rates}, cv=3),
        GridSearchCV(theirs, {"learning_rate_init": rates}, cv=3),
    ]
    for search in searches:
        heard(search.fit, X, y)
    mine, expected = (search.cv_results_["mean_test_score"] for search in searches)
    np.testing.assert_array_equal(mine, expected)
    assert searches[0].best_params_ == {"learning_rate": 0.1}
    assert_same(searches[0].best_estimator_, searches[1].best_estimator_, X)


@pytest.mark.parametrize("schedule", ["invscaling", "adaptive"])
def test_schedules_act_under_adam(schedule):
    X, y, _ = data("iris")
    stalling = {"tol": 10.0, "n_iter_no_change": 1, "max_iter": 4}
    steady, _ = estimators("iris", {**stalling, "n_iter_no_change": inf})
    scheduled, _ = estimators("iris", {**stalling, "learning_rate": schedule})
    for est in (steady, scheduled):
        heard(est.fit, X, y)
    assert steady.loss_curve_[0] == scheduled.loss_curve_[0]
    assert not np.array_equal(steady.coefs_[0], scheduled.coefs_[0])


TOLD = {
    "epochs": ("iris", {}),
    "stopping": ("iris", {"tol": 10.0, "n_iter_no_change": 2}),
    "validation": ("wine", {**STOP, "learning_rate_init": 0.1, "n_iter_no_change": 2}),
    "adaptive": (
        "one output",
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1,
         "max_iter": 30},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("dataset", "params"), TOLD.values(), ids=TOLD)
def test_verbose_tells_the_same(dataset, params, capsys):
    X, y, _ = data(dataset)
    told = []
    for est in estimators(dataset, {**params, "verbose": True}):
        heard(est.fit, X, y)
        told.append(capsys.readouterr().out)
    assert told[0] == told[1] != ""


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_adaptive_tells_of_every_rate(solver, capsys):
    X, y, _ = data("iris")
    ours, _ = estimators(
        "iris",
        {"solver": solver, "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1,
         "max_iter": 100, "verbose": True},
    )  # fmt: skip
    ours.fit(X, y)
    told = [line for line in capsys.readouterr().out.splitlines() if "did not improve" in line]
    rates = [float(line.split()[-1]) for line in told[:-1]]
    assert all("Setting learning rate to" in line for line in told[:-1])
    np.testing.assert_allclose(rates, [2e-4, 4e-5, 8e-6, 2e-6, 0], atol=1e-6)
    assert told[-1].endswith("Learning rate too small. Stopping.")
