"""Prediction: fast for plain arrays, the same for all others, bounded in memory."""

import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.neural_network import MLPClassifier, MLPRegressor

from bpestimator import BackpropClassifier, BackpropRegressor

RNG = np.random.RandomState(0)
X = RNG.randn(60, 5)
TARGETS = {
    "two classes": (MLPClassifier, BackpropClassifier, (X[:, 0] > 0).astype(int)),
    "three classes": (MLPClassifier, BackpropClassifier, RNG.randint(0, 3, 60)),
    "labels": (MLPClassifier, BackpropClassifier, RNG.randint(0, 2, (60, 3))),
    "a number": (MLPRegressor, BackpropRegressor, X[:, 1]),
    "two numbers": (MLPRegressor, BackpropRegressor, X[:, :2]),
}


def fitted(target, rows=X, **params):
    params = {"hidden_layer_sizes": (7, 4), "max_iter": 4, "random_state": 0} | params
    theirs, ours, y = TARGETS[target]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return theirs(**params).fit(rows, y), ours(**params).fit(rows, y)


def outputs(est, rows):
    names = ("predict", "predict_proba", "predict_log_proba")
    return [getattr(est, name)(rows) for name in names if hasattr(est, name)]


def outcome(est, rows):
    """What prediction gives: arrays, warnings and error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = outputs(est, rows)
            error = None
        except Exception as raised:
            found, error = [], (type(raised), str(raised).split("\n")[0])
    texts = [(w.category, str(w.message).replace("MLP", "Backprop")) for w in caught]
    return found, texts, error and (error[0], error[1].replace("MLP", "Backprop"))


def poisoned(value):
    rows = X[:3].copy()
    rows[1, 2] = value
    return rows


SUBCLASS = type("Rows", (np.ndarray,), {})
INPUTS = {
    "one row": X[:1],
    "some rows": X,
    "float32": X[:4].astype(np.float32),
    "float16": X[:4].astype(np.float16),
    "integers": (10 * X[:4]).astype(int),
    "big-endian": X[:4].astype(">f8"),
    "fortran": np.asfortranarray(X),
    "strided": X[::3],
    "reversed": X[::-1],
    "list": X[:2].tolist(),
    "objects": X[:2].astype(object),
    "frame": pd.DataFrame(X[:2], columns=list("abcde")),
    "unnamed frame": pd.DataFrame(X[:2]),
    "csr": sp.csr_matrix(X[:4].round()),
    "csc": sp.csc_array(X[:4].round()),
    "subclass": X[:2].view(SUBCLASS),
    "masked": np.ma.masked_array(X[:2], mask=False),
    "huge": poisoned(1e200),
    "nan": poisoned(np.nan),
    "inf": poisoned(np.inf),
    "-inf": poisoned(-np.inf),
    "inf - inf": np.array([[np.inf, -np.inf, 0.0, 0.0, 0.0]]),
    "too narrow": X[:2, :4],
    "too wide": np.ones((2, 6)),
    "no rows": X[:0],
    "one dimension": X[0],
    "three dimensions": X[None],
    "a number": np.array(1.0),
    "strings": np.full((2, 5), "a"),
    "complex": X[:2] + 1j,
    "None": None,
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("rows", INPUTS.values(), ids=INPUTS)
def test_whatever_comes_in_the_outcome_is_mlps(rows, target):
    mlp, ours = fitted(target)
    (expected, warned, error), (found, also_warned, also_error) = (
        outcome(est, rows) for est in (mlp, ours)
    )
    assert error == also_error
    assert warned == also_warned
    for a, b in zip(expected, found, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_column_names_are_missed():
    named = pd.DataFrame(X, columns=list("abcde"))
    mlp, ours = fitted("two classes", named)
    for rows in (X[:1], named[:1], named[list("edcba")][:1]):
        assert outcome(mlp, rows)[1:] == outcome(ours, rows)[1:]


def test_an_unfitted_estimator_says_so():
    from sklearn.exceptions import NotFittedError

    for est in (BackpropClassifier(), BackpropRegressor()):
        with pytest.raises(NotFittedError):
            est.predict(X)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("n", [4096, 4097, 10_000])
def test_many_rows(target, n):
    mlp, ours = fitted(target)
    many = np.random.RandomState(1).randn(n, 5)
    for a, b in zip(outputs(mlp, many), outputs(ours, many), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_memory_does_not_grow_with_rows_times_units():
    _, ours = fitted("two classes", hidden_layer_sizes=(500,))
    many = np.zeros((50_000, 5))
    ours.predict(many)
    tracemalloc.start()
    ours.predict_proba(many)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6  # one hidden layer would take 200 MB


def test_a_huge_prediction_may_overflow_as_mlps_does():
    mlp, ours = fitted("three classes")
    rows = poisoned(1e308)
    for a, b in zip(outcome(mlp, rows)[0], outcome(ours, rows)[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_of_mixed_kinds_predict():
    _, ours = fitted("three classes")
    expected = ours.predict_proba(X)
    ours.coefs_[0] = ours.coefs_[0].astype(np.float32)
    np.testing.assert_allclose(ours.predict_proba(X.astype(np.float32)), expected, rtol=1e-4)
    ours.coefs_ = [np.round(coef).astype(int) for coef in ours.coefs_]
    whole = ours.predict_proba(X.round().astype(int))
    ours.coefs_ = [coef.astype(float) for coef in ours.coefs_]
    np.testing.assert_allclose(whole, ours.predict_proba(X.round()))


def test_the_callers_errstate_holds_for_many_rows_too():
    _, ours = fitted("a number")
    # The sum overflows, not a product: not every NumPy watches those.
    ours.coefs_[0] = np.full((5, 7), 1e307)
    ours.intercepts_[0] = np.full(7, 1.7e308)
    with np.errstate(all="ignore"):
        ours.predict(np.ones((9000, 5)))
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        ours.predict(np.ones((9000, 5)))
