"""What a fitted estimator remembers, and that neither errors nor readers disturb it."""

import builtins
import copy
import io
import pickle
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn.datasets import make_classification, make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale

from bpestimator import BackpropClassifier, BackpropRegressor, InvScaling

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def numbers(n_targets):
    X, y = make_regression(120, 5, n_targets=n_targets, noise=1.0, random_state=0)
    return X, scale(y)


def classes(n):
    return make_classification(
        120, 5, n_informative=4, n_redundant=0, n_classes=n, class_sep=0.5, random_state=0
    )


DATA = {
    "three classes": (BackpropClassifier, *classes(3)),
    "two classes": (BackpropClassifier, *classes(2)),
    "labels": (BackpropClassifier, *make_multilabel_classification(120, 5, random_state=0)),
    "one output": (BackpropRegressor, *numbers(1)),
    "two outputs": (BackpropRegressor, *numbers(2)),
}
SOLVERS = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.02},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    # Stalls at every epoch, so that the rate shrinks as training goes on.
    "adaptive": {"learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1},
}


def make(dataset, **params):
    kind, X, y = DATA[dataset]
    params = {"hidden_layer_sizes": (7, 6), "max_iter": 5, "random_state": 0, **params}
    return kind(**params), X, y


def probabilities(est, X):
    return getattr(est, "predict_proba", est.predict)(X)


def learnt(est):
    """A copy of all that training has left behind, private things as well."""
    return copy.deepcopy(vars(est))


def assert_equal_state(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_equal(a[name], b[name], err_msg=name)


def assert_same_model(a, b, X):
    np.testing.assert_array_equal(probabilities(a, X), probabilities(b, X))
    for left, right in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        np.testing.assert_array_equal(left, right)
    assert a.loss_curve_ == b.loss_curve_
    assert (a.n_iter_, a.t_, a.loss_, a.best_loss_) == (b.n_iter_, b.t_, b.loss_, b.best_loss_)


def joblibbed(est):
    file = io.BytesIO()
    joblib.dump(est, file)
    file.seek(0)
    return joblib.load(file)


COPIES = {
    "pickle": lambda est: pickle.loads(pickle.dumps(est)),
    "oldest pickle": lambda est: pickle.loads(pickle.dumps(est, protocol=2)),
    "joblib": joblibbed,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("again", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dataset", DATA)
def test_a_copy_goes_on_as_the_original(dataset, solver, again):
    est, X, y = make(dataset, **SOLVERS[solver])
    est.fit(X, y)
    other = again(est)
    assert_same_model(est, other, X)
    for _ in range(4):
        est.partial_fit(X, y)
        other.partial_fit(X, y)
        assert_same_model(est, other, X)
    est.set_params(warm_start=True).fit(X, y)
    other.set_params(warm_start=True).fit(X, y)
    assert_same_model(est, other, X)


def test_a_deep_copy_shares_nothing_and_a_memory_mapped_model_predicts(tmp_path):
    est, X, y = make("three classes")
    est.fit(X, y)
    before, twin = learnt(est), copy.deepcopy(est)
    for _ in range(3):
        twin.partial_fit(X, y)
    assert_equal_state(vars(est), before)
    joblib.dump(est, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    np.testing.assert_array_equal(mapped.predict_proba(X), est.predict_proba(X))
    assert_same_model(mapped.partial_fit(X, y), est.partial_fit(X, y), X)


# coefs_ and intercepts_ are the model.


@pytest.mark.parametrize("dataset", DATA)
@pytest.mark.parametrize("as_lists", [False, True], ids=["arrays", "lists"])
def test_weights_set_by_hand_are_the_model(dataset, as_lists):
    source, X, y = make(dataset, random_state=1)
    source.fit(X, y)
    est, _, _ = make(dataset)
    est.fit(X, y)
    weights = [a.copy() for a in source.coefs_], [a.copy() for a in source.intercepts_]
    if as_lists:
        weights = tuple([a.tolist() for a in arrays] for arrays in weights)
    est.coefs_, est.intercepts_ = weights
    np.testing.assert_array_equal(probabilities(est, X), probabilities(source, X))
    # Training starts from them: with hardly any step, they are still there.
    est.set_params(learning_rate=1e-12, alpha=0).partial_fit(X, y)
    for mine, expected in zip(est.coefs_, source.coefs_, strict=True):
        np.testing.assert_allclose(mine, expected, atol=1e-10)


def test_weights_changed_in_place_are_the_model():
    est, X, y = make("one output")
    est.fit(X, y)
    for array in est.coefs_ + est.intercepts_:
        array[...] = 0
    est.intercepts_[-1][:] = 2.5
    assert (est.predict(X) == 2.5).all()
    est.set_params(learning_rate=1e-12).partial_fit(X, y)
    np.testing.assert_allclose(est.predict(X), 2.5, atol=1e-9)


def test_a_network_of_other_widths_predicts():
    est, X, y = make("one output")
    est.fit(X, y)
    rng = np.random.RandomState(0)
    first, second = rng.normal(size=(5, 11)), rng.normal(size=(11, 1))
    est.coefs_, est.intercepts_ = [first, second], [np.ones(11), np.ones(1)]
    expected = (np.maximum(X @ first + 1, 0) @ second + 1).ravel()
    np.testing.assert_allclose(est.predict(X), expected)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_network_of_other_widths_goes_on_learning(solver):
    est, X, y = make("one output", solver=solver, learning_rate=0.01)
    est.fit(X, y)
    source, _, _ = make("one output", hidden_layer_sizes=(11,), random_state=1)
    source.fit(X, y)
    est.coefs_, est.intercepts_ = copy.deepcopy((source.coefs_, source.intercepts_))
    est.set_params(hidden_layer_sizes=(11,)).partial_fit(X, y)
    # A solver begins without memory where the layers are others, as where it is another itself.
    other = "sgd" if solver == "adam" else "adam"
    twin, _, _ = make("one output", hidden_layer_sizes=(11,), solver=other)
    twin.fit(X, y)
    twin.coefs_, twin.intercepts_ = copy.deepcopy((source.coefs_, source.intercepts_))
    twin.set_params(solver=solver, learning_rate=0.01)
    twin.partial_fit(X, y)
    for _ in range(3):
        for ours, expected, before in zip(est.coefs_, twin.coefs_, source.coefs_, strict=True):
            np.testing.assert_array_equal(ours, expected)
            assert (ours != before).any()
        est.partial_fit(X, y)
        twin.partial_fit(X, y)
    # From now on the network is the one of these widths.
    assert (est.n_layers_, est.hidden_layer_sizes) == (3, (11,))
    with pytest.raises(ValueError, match=r"was fitted with hidden_layer_sizes=\(11,\)"):
        est.set_params(hidden_layer_sizes=(7, 6)).partial_fit(X, y)


BAD_WEIGHTS = {
    "widths that do not chain": ([(5, 7), (4, 6), (6, 1)], [7, 6, 1]),
    "biases that do not match": ([(5, 7), (7, 6), (6, 1)], [7, 5, 1]),
    "a layer without biases": ([(5, 7), (7, 6), (6, 1)], [7, 6]),
    "other inputs": ([(4, 7), (7, 6), (6, 1)], [7, 6, 1]),
    "vectors": ([(5,), (7,)], [5, 7]),
    "nothing": ([], []),
}


@pytest.mark.parametrize("method", ["predict", "partial_fit"])
@pytest.mark.parametrize(("shapes", "widths"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_weights_of_inconsistent_shapes(shapes, widths, method):
    est, X, y = make("one output")
    est.fit(X, y)
    est.coefs_ = [np.zeros(shape) for shape in shapes]
    est.intercepts_ = [np.zeros(width) for width in widths]
    arguments = (X,) if method == "predict" else (X, y)
    with pytest.raises(ValueError, match="coefs_"):
        getattr(est, method)(*arguments)


def test_outputs_that_y_does_not_need():
    est, X, y = make("one output")
    est.fit(X, y)
    est.coefs_[-1], est.intercepts_[-1] = np.zeros((6, 2)), np.zeros(2)
    with pytest.raises(ValueError, match="2 outputs"):
        est.partial_fit(X, y)


# A call that ends in an error never was.

NAN = np.full((120, 5), np.nan)


def huge(X):
    return np.full_like(X, 1.7e308)


FAILING = {
    "weights overflow": lambda est, X, y: est.partial_fit(huge(X), y),
    "not finite": lambda est, X, y: est.partial_fit(NAN, y),
    "other features": lambda est, X, y: est.partial_fit(X[:, :3], y),
    "other rows": lambda est, X, y: est.partial_fit(X, y[:-1]),
    "bad parameter": lambda est, X, y: est.set_params(alpha=-1).partial_fit(X, y),
    "bad weights": lambda est, X, y: est.partial_fit(X, y, np.ones(3)),
    "no weight at all": lambda est, X, y: est.partial_fit(X, y, np.zeros(120)),
    "fit: weights overflow": lambda est, X, y: est.fit(huge(X), y),
    "fit: other features, then overflow": lambda est, X, y: est.fit(huge(X[:, :3]), y),
    "fit: other targets, then overflow": lambda est, X, y: est.fit(huge(X), np.arange(120) % 4),
    "fit: not finite": lambda est, X, y: est.fit(NAN, y),
    "fit: other rows": lambda est, X, y: est.fit(X, y[:-1]),
    "fit: bad weights": lambda est, X, y: est.fit(X, y, np.ones(3)),
    "fit: no validation set": lambda est, X, y: est.set_params(
        early_stopping=True, validation_fraction=0.001
    ).fit(X, y),
    "lbfgs: other rows": lambda est, X, y: est.set_params(solver="lbfgs").fit(X, y[:-1]),
    "warm start: other layers": lambda est, X, y: est.set_params(
        warm_start=True, hidden_layer_sizes=(9,)
    ).fit(X, y),
    "warm start: overflow": lambda est, X, y: est.set_params(warm_start=True).fit(huge(X), y),
}


@pytest.mark.parametrize("dataset", DATA)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("fail", FAILING.values(), ids=FAILING)
def test_a_failing_call_changes_nothing(dataset, solver, fail):
    est, X, y = make(dataset, **SOLVERS[solver])
    est.set_params(max_iter=1).fit(X, y)
    est.partial_fit(X, y)
    twin, parameters, before = copy.deepcopy(est), est.get_params(), learnt(est)
    with pytest.raises(ValueError):  # noqa: PT011 - which one, test_errors.py asks
        fail(est, X, y)
    est.set_params(**parameters)
    assert_equal_state(vars(est), before)
    for _ in range(3):
        est.partial_fit(X, y)
        twin.partial_fit(X, y)
    assert_same_model(est, twin, X)


def test_a_class_never_announced_changes_nothing():
    est, X, y = make("three classes")
    est.partial_fit(X, y, classes=[0, 1, 2])
    before = learnt(est)
    for bad_y, arguments in ((y + 1, {}), (y, {"classes": [0, 1, 2, 3]})):
        with pytest.raises(ValueError, match="classes"):
            est.partial_fit(X, bad_y, **arguments)
        assert_equal_state(vars(est), before)


@pytest.mark.parametrize("dataset", DATA)
def test_a_first_call_that_fails_leaves_no_model(dataset):
    est, X, y = make(dataset)
    with pytest.raises(ValueError, match="non-finite"):
        est.fit(huge(X), y)
    assert not hasattr(est, "coefs_")
    fresh, _, _ = make(dataset)
    assert_same_model(est.fit(X, y), fresh.fit(X, y), X)


# Ctrl-C.


class CtrlC:
    """A print at which the user loses patience."""

    def __init__(self, at):
        self.lines, self.at = 0, at

    def __call__(self, line, *args, **kwargs):
        self.lines += line.startswith("Iteration")
        if self.lines == self.at:
            raise KeyboardInterrupt


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


@pytest.mark.parametrize("dataset", DATA)
@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"solver": "sgd"}], ids=str)
def test_ctrl_c_keeps_what_was_learnt(dataset, params, monkeypatch):
    est, X, y = make(dataset, verbose=True, max_iter=50, **params)
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "print", CtrlC(at=4))
        with pytest.warns(UserWarning, match="Training interrupted by user."):
            assert est.fit(X, y) is est
    assert est.n_iter_ == 4
    assert len(est.loss_curve_) == 4
    twin, _, _ = make(dataset, max_iter=4, **params)
    if est.early_stopping:  # there, the fourth score is missing
        twin.set_params(max_iter=3)
    np.testing.assert_array_equal(probabilities(est, X), probabilities(twin.fit(X, y), X))
    est.set_params(verbose=False, early_stopping=False).partial_fit(X, y)
    assert len(est.loss_curve_) == 5


class Impatient(np.random.RandomState):
    """Random numbers that last for some shuffles; then the user loses patience."""

    def __init__(self, seed, shuffles):
        super().__init__(seed)
        self.shuffles = shuffles

    def shuffle(self, x):
        if self.shuffles == 0:
            raise KeyboardInterrupt
        self.shuffles -= 1
        super().shuffle(x)


@pytest.mark.parametrize("dataset", DATA)
def test_ctrl_c_within_an_epoch(dataset):
    est, X, y = make(dataset, random_state=Impatient(0, shuffles=2))
    with pytest.warns(UserWarning, match="Training interrupted by user."):
        est.fit(X, y)
    twin, _, _ = make(dataset, max_iter=2, random_state=np.random.RandomState(0))
    assert_same_model(est, twin.fit(X, y), X)


@pytest.mark.parametrize("params", [{}, {"warm_start": True}], ids=str)
@pytest.mark.parametrize("dataset", DATA)
def test_ctrl_c_in_the_first_epoch_keeps_the_model_there_was(dataset, params):
    est, X, y = make(dataset, **params)
    est.fit(X, y)
    before = learnt(est)
    est.set_params(random_state=Impatient(0, shuffles=0))
    with pytest.warns(UserWarning, match="Training interrupted by user."):
        est.fit(X, y)
    assert_equal_state(vars(est.set_params(random_state=0)), before)


@pytest.mark.parametrize("dataset", DATA)
def test_ctrl_c_during_lbfgs(dataset, monkeypatch):
    est, X, y = make(dataset, solver="lbfgs", verbose=True, max_iter=50)
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "print", CtrlC(at=4))
        with pytest.warns(UserWarning, match="Training interrupted by user."):
            est.fit(X, y)
    twin, _, _ = make(dataset, solver="lbfgs", max_iter=4)
    twin.fit(X, y)
    assert est.n_iter_ == twin.n_iter_ == 4
    np.testing.assert_allclose(est.loss_, twin.loss_)
    np.testing.assert_allclose(probabilities(est, X), probabilities(twin, X))


@pytest.mark.parametrize("dataset", ["two classes", "two outputs"])
def test_ctrl_c_before_the_first_iteration_of_lbfgs(dataset, monkeypatch):
    est, X, y = make(dataset, solver="lbfgs")
    start, _, _ = make(dataset, learning_rate=1e-14, max_iter=1)
    start.fit(X, y)
    with monkeypatch.context() as patch:
        patch.setattr(scipy.optimize, "minimize", interrupt)
        with pytest.warns(UserWarning, match="Training interrupted by user."):
            est.fit(X, y)
    assert est.n_iter_ == 0
    np.testing.assert_allclose(probabilities(est, X), probabilities(start, X))


# Parameters changed between calls.


def test_warm_start_with_other_layers():
    est, X, y = make("three classes", warm_start=True)
    est.fit(X, y).set_params(hidden_layer_sizes=(7, 5))
    for call in (est.fit, est.partial_fit):
        with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(7, 5\)"):
            call(X, y)
    est.set_params(warm_start=False).fit(X, y)
    assert [coef.shape for coef in est.coefs_] == [(5, 7), (7, 5), (5, 3)]


def test_warm_start_with_other_classes_features_or_outputs():
    est, X, y = make("three classes", warm_start=True)
    est.fit(X, y)
    with pytest.raises(ValueError, match="same classes"):
        est.fit(X, np.minimum(y, 1))
    with pytest.raises(ValueError, match="expecting 5 features"):
        est.fit(X[:, :4], y)
    est, X, y = make("two outputs", warm_start=True)
    est.fit(X, y)
    with pytest.raises(ValueError, match="1 output"):
        est.fit(X, y[:, 0])


@pytest.mark.parametrize("name", ["learning_rate_init", "learning_rate"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_takes_the_new_rate(solver, name):
    est, X, y = make("one output", solver=solver, momentum=0)
    est.partial_fit(X, y)
    steps = []
    for rate in (1e-3, 1e-2, 1e-3):
        other = copy.deepcopy(est).set_params(**{name: rate}).partial_fit(X, y)
        steps.append(np.abs(other.coefs_[0] - est.coefs_[0]).sum())
    np.testing.assert_allclose(steps[1] / steps[0], 10, rtol=1e-6)
    assert steps[2] == steps[0]


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_another_solver_begins_without_memory(solver):
    est, X, y = make("one output", solver="adam" if solver == "sgd" else "sgd")
    est.fit(X, y).set_params(solver=solver, max_iter=1, warm_start=True)
    twin = copy.deepcopy(est)
    # fit always begins without memory
    assert_same_model(est.partial_fit(X, y), twin.fit(X, y), X)


def test_fit_begins_anew():
    est, X, y = make("three classes")
    fresh, _, _ = make("three classes")
    est.fit(X[:, :3], (y > 0).astype(int))
    assert_same_model(est.fit(X, y), fresh.fit(X, y), X)
    assert est.classes_.tolist() == [0, 1, 2]


# Reading writes nothing.

READERS = ["predict", "predict_proba", "predict_log_proba"]


@pytest.fixture(scope="module")
def fitted():
    models = {}
    for name in DATA:
        est, X, y = make(name, hidden_layer_sizes=(40,))
        models[name] = est.fit(X, y)
    return models


@pytest.mark.parametrize("dataset", DATA)
def test_prediction_leaves_no_trace(fitted, dataset):
    est, (_, X, y) = fitted[dataset], DATA[dataset]
    before, rows = learnt(est), X.copy()
    predictions = [getattr(est, name)(X) for name in READERS if hasattr(est, name)]
    est.score(X, y)
    est.predict(sp.csr_matrix(X))
    assert_equal_state(vars(est), before)
    np.testing.assert_array_equal(X, rows)
    # What was returned belongs to the caller.
    for name, prediction in zip(READERS, predictions, strict=False):
        prediction[...] = 0
        assert getattr(est, name)(X).any()


@pytest.mark.parametrize("dataset", DATA)
def test_prediction_from_eight_threads(fitted, dataset):
    est, (_, X, _) = fitted[dataset], DATA[dataset]
    pieces = [np.tile(X * k, (1 + k % 5, 1)) for k in range(1, 41)]
    alone = [probabilities(est, piece) for piece in pieces]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda piece: probabilities(est, piece), pieces * 3))
    for mine, expected in zip(together, alone * 3, strict=True):
        np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csc_matrix])
@pytest.mark.parametrize("dataset", DATA)
def test_many_rows_are_predicted_as_few_are(fitted, dataset, container):
    est, (_, X, _) = fitted[dataset], DATA[dataset]
    many = np.random.RandomState(0).normal(size=(10_000, X.shape[1]))
    predicted = probabilities(est, container(many))
    assert len(predicted) == 10_000
    for start in (0, 1000, 5000, 9983):
        few = probabilities(est, many[start : start + 17])
        np.testing.assert_allclose(predicted[start : start + 17], few, rtol=1e-9, atol=1e-12)


def test_memory_of_prediction_does_not_grow_with_rows_times_units():
    est, X, y = make("one output", hidden_layer_sizes=(400, 400), max_iter=1)
    est.fit(X, y)
    many = np.zeros((20_000, X.shape[1]))
    tracemalloc.start()
    try:
        est.predict(many)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40e6  # all at once: 64 MB for each hidden layer


def test_fits_in_threads_are_fits_alone():
    def fit(seed):
        est, X, y = make("three classes", random_state=seed)
        return est.fit(X, y).coefs_[0]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(fit, range(8)))
    for seed, coef in enumerate(together):
        np.testing.assert_array_equal(coef, fit(seed))


def test_fit_leaves_its_arguments_alone():
    est, X, y = make("two outputs", batch_size=16)
    weight = np.linspace(0, 1, len(y))
    copies = X.copy(), y.copy(), weight.copy()
    for array in (X, y, weight):
        array.setflags(write=False)
    try:
        est.fit(X, y, weight).partial_fit(X, y, weight)
        est.set_params(shuffle=False).fit(X, y)
        est.set_params(solver="lbfgs").fit(X, y)
    finally:
        for array in (X, y):
            array.setflags(write=True)
    for array, expected in zip((X, y, weight), copies, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_a_new_fit_knows_nothing_of_earlier_names():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), columns=list("abc"))
    y = frame["a"].to_numpy()
    est = BackpropRegressor(max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        est.fit(frame, y)
        est.fit(frame.to_numpy(), y, X_val=frame.to_numpy(), y_val=y)
        renamed = frame.set_axis(list("xyz"), axis=1)
        est.fit(frame, y).fit(renamed, y, X_val=renamed, y_val=y)
    with pytest.warns(UserWarning, match="X has feature names, but"):
        est.fit(frame.to_numpy(), y, X_val=frame, y_val=y)


def test_labels_decide_the_outputs_of_multilabel_y():
    """scikit-learn takes any announced classes where y is an indicator matrix."""
    X = np.random.default_rng(0).normal(size=(20, 3))
    y = (X[:, :2] > 0).astype(int)
    params = {"random_state": 0, "hidden_layer_sizes": (4,)}
    ours = BackpropClassifier(**params).partial_fit(X, y, classes=[0, 1, 2])
    theirs = MLPClassifier(**params).partial_fit(X, y, classes=[0, 1, 2])
    assert ours.n_outputs_ == 2
    assert_array_equal(ours.coefs_[0], theirs.coefs_[0])


def test_the_warning_names_the_number_of_the_schedule():
    X = np.random.default_rng(0).normal(size=(40, 3))
    net = BackpropRegressor(learning_rate=InvScaling(power_t=0.3), max_iter=4, random_state=0)
    with pytest.warns(ConvergenceWarning, match="'invscaling' with power_t=0.3 has decreased"):
        net.fit(X, X[:, 0])
