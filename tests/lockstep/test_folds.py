"""Members of one group with their own rows, validation rows, weights, seeds and stopping."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import KFold

from bpestimator import AdamW, BackpropClassifier, BackpropRegressor
from bpestimator.lockstep import Alone, Data, FitRequest, Fitted, fit_requests
from bpestimator.lockstep.requests import take

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Got `batch_size`"),
]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(301, 6))
NUMBERS = np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * RNG.normal(size=301)
CLASSES = np.digitize(NUMBERS, [-0.5, 0.5])
WEIGHT = RNG.uniform(0.5, 2.0, 301)
FOLDS = list(KFold(8, shuffle=True, random_state=0).split(X))
FIXED = {"hidden_layer_sizes": (12, 7), "max_iter": 40, "learning_rate_init": 0.01}
STOPPING = {"early_stopping": True, "n_iter_no_change": 3, "tol": 1e-3}


def requests_of(net, y, weight=None, validates=True, X=X):
    data = Data(X, y)
    return [
        FitRequest(
            clone(net).set_params(random_state=number),
            data,
            rows,
            others if validates else None,
            weight,
        )
        for number, (rows, others) in enumerate(FOLDS)
    ]


def alone(request):
    """What a request stands for, as a user would write it."""
    (values, y), weight = (request.data.X, request.data.y), request.sample_weight
    rows, others = request.rows, request.validation_rows
    validation = {}
    if others is not None:
        validation = {"X_val": values[others], "y_val": y[others]}
        if weight is not None:
            validation["sample_weight_val"] = weight[others]
    return clone(request.estimator).fit(
        values[rows], y[rows], None if weight is None else weight[rows], **validation
    )


def assert_same_state(ours, theirs, name):
    """Equal to the bit, in all but the seconds."""
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys(), name
        for key, value in theirs.items():
            if key != "seconds":
                assert_same_state(ours[key], value, f"{name}[{key!r}]")
    elif isinstance(theirs, list) and theirs and isinstance(theirs[0], np.ndarray):
        for one, other in zip(ours, theirs, strict=True):
            assert_array_equal(one, other)
    else:
        assert_array_equal(ours, theirs, err_msg=name)


def assert_each_as_if_alone(requests):
    for request, found in zip(requests, fit_requests(requests), strict=True):
        assert isinstance(found, Fitted), found
        ours, theirs = found.estimator, alone(request)
        assert vars(ours).keys() == vars(theirs).keys()
        for name, value in vars(theirs).items():
            if name.endswith("_") or name == "_memory":
                assert_same_state(getattr(ours, name), value, name)


CASES = {
    "early stopping": (BackpropRegressor, STOPPING, NUMBERS),
    "classes": (BackpropClassifier, STOPPING, CLASSES),
    "two classes": (BackpropClassifier, {**STOPPING, "dropout": 0.3}, CLASSES > 0),
    "validation only": (BackpropRegressor, {}, NUMBERS),
    "by a scorer": (BackpropClassifier, {**STOPPING, "scoring": "neg_log_loss"}, CLASSES),
    "batches of 32": (BackpropRegressor, {**STOPPING, "batch_size": 32}, NUMBERS),
    "batches of 300": (BackpropRegressor, {**STOPPING, "batch_size": 300}, NUMBERS),
    "in order": (BackpropRegressor, {**STOPPING, "shuffle": False}, NUMBERS),
    "invscaling": (
        BackpropRegressor,
        {**STOPPING, "solver": "sgd", "learning_rate": "invscaling", "power_t": 0.2},
        NUMBERS,
    ),
    "one_cycle": (BackpropRegressor, {"learning_rate": "one_cycle", "max_iter": 9}, NUMBERS),
    "dropout of features": (BackpropRegressor, {**STOPPING, "dropout": [0.1, 0.2, 0.0]}, NUMBERS),
    "clipped": (BackpropRegressor, {**STOPPING, "max_grad_norm": 0.5}, NUMBERS),
    "weight decay": (BackpropRegressor, {**STOPPING, "solver": AdamW(weight_decay=0.1)}, NUMBERS),
    "nadam": (BackpropRegressor, {**STOPPING, "solver": "nadam"}, NUMBERS),
    "two outputs": (BackpropRegressor, STOPPING, np.c_[NUMBERS, X[:, 0]]),
    "balanced": (BackpropClassifier, {**STOPPING, "class_weight": "balanced"}, CLASSES),
}


@pytest.mark.parametrize(("kind", "params", "y"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
def test_eight_folds_of_301_rows_train_together(kind, params, y, weight, sizes):
    assert len({len(rows) for rows, _ in FOLDS}) == 2
    assert_each_as_if_alone(requests_of(kind(**{**FIXED, **params}), y, weight))
    assert sizes[0] == 8


def test_without_validation_rows(sizes):
    net = BackpropRegressor(**FIXED, early_stopping=True, n_iter_no_change=2)
    assert_each_as_if_alone(requests_of(net, NUMBERS, validates=False))
    assert sizes[0] == 8


def test_float32(sizes):
    """Some versions of OpenBLAS round stacked products otherwise: every bit is float64's."""
    requests = requests_of(BackpropRegressor(**FIXED), NUMBERS, X=X.astype(np.float32))
    for request, found in zip(requests, fit_requests(requests), strict=True):
        assert found.estimator.coefs_[0].dtype == np.float32
        theirs = alone(request)
        assert_allclose(found.estimator.loss_curve_, theirs.loss_curve_, rtol=1e-5)
        assert_allclose(found.estimator.coefs_[0], theirs.coefs_[0], atol=1e-4)
    assert sizes[0] == 8


def test_networks_with_diagnostics_train_with_those_on_as_many_rows(sizes):
    net = BackpropRegressor(**FIXED, diagnostics=True)
    assert_each_as_if_alone(requests_of(net, NUMBERS))
    assert sorted(sizes[:2]) == [3, 5]


def test_several_rates_on_each_fold(sizes):
    requests = [
        replace(request, estimator=clone(request.estimator).set_params(alpha=alpha))
        for request in requests_of(BackpropRegressor(**FIXED, **STOPPING), NUMBERS)
        for alpha in (1e-4, 1e-2, 1.0)
    ]
    assert_each_as_if_alone(requests)
    assert sizes[0] == 24


def test_the_rows_of_one_data_are_validated_once(monkeypatch):
    seen = []
    from bpestimator.lockstep import preparing

    validate = preparing.validate

    def spied(est, X, y, *others):
        seen.append(len(X))
        return validate(est, X, y, *others)

    monkeypatch.setattr(preparing, "validate", spied)
    fit_requests(requests_of(BackpropRegressor(**FIXED), NUMBERS))
    assert seen == [301]


def test_folds_that_differ_in_their_number_of_batches_are_apart(sizes):
    data = Data(X, NUMBERS)
    net = BackpropRegressor(**FIXED, batch_size=50, random_state=0)
    rows = [np.arange(n) for n in (100, 99, 98, 101, 110, 120)]
    found = fit_requests([FitRequest(net, data, some) for some in rows])
    assert all(isinstance(one, Fitted) for one in found)
    assert sorted(sizes[:2]) == [3, 3]


def as_mask(rows):
    mask = np.zeros(301, bool)
    mask[rows] = True
    return mask


KINDS_OF_ROWS = {
    "numbers": lambda rows: rows,
    "a list": lambda rows: rows.tolist(),
    "a tuple": lambda rows: tuple(rows.tolist()),
    "a mask": as_mask,
    "from the end": lambda rows: rows - 301,
    "short integers": lambda rows: rows.astype(np.int16),
    "a bootstrap sample": lambda rows: np.random.default_rng(0).choice(rows, rows.size),
}


@pytest.mark.parametrize("kind", KINDS_OF_ROWS.values(), ids=KINDS_OF_ROWS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_of_any_kind(kind, order, sizes):
    net = BackpropRegressor(**FIXED, **STOPPING)
    data = Data(np.asarray(X, order=order), NUMBERS)
    requests = [
        FitRequest(clone(net).set_params(random_state=k), data, kind(rows), kind(others))
        for k, (rows, others) in enumerate(FOLDS[:4])
    ]
    assert_each_as_if_alone(requests)
    assert sizes[0] == 4


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("hidden", [(), (12, 7)], ids=str)
@pytest.mark.parametrize("container", ["frame", "Fortran", "list"])
def test_other_containers(container, hidden, shuffle):
    values = {
        "frame": pd.DataFrame(X, columns=list("abcdef")),
        "Fortran": np.asfortranarray(X),
        "list": X.tolist(),
    }[container]
    params = {**FIXED, "hidden_layer_sizes": hidden, "max_iter": 6, "shuffle": shuffle}
    for validates in (True, False):
        options = {"early_stopping": True} if not validates else {}
        net = BackpropRegressor(**params, **options)
        requests = requests_of(net, NUMBERS, validates=validates, X=values)
        for request, found in zip(requests, fit_requests(requests), strict=True):
            if container == "frame" and not shuffle and isinstance(found, Alone):
                continue  # its rows keep the layout of a frame, which may be Fortran's
            assert isinstance(found, Fitted), found
            rows, others = request.rows, request.validation_rows
            validation = {}
            if validates:
                validation = {"X_val": take(values, others), "y_val": NUMBERS[others]}
            theirs = clone(request.estimator).fit(take(values, rows), NUMBERS[rows], **validation)
            assert_same_state(found.estimator.coefs_, theirs.coefs_, "coefs_")
            ours = found.estimator.validation_loss_curve_
            assert ours == theirs.validation_loss_curve_


def test_weights_of_one_number():
    net = BackpropRegressor(**FIXED, max_fun=15000)
    requests = requests_of(net, NUMBERS, weight=2.0)
    for request, found in zip(requests, fit_requests(requests), strict=True):
        rows, others = request.rows, request.validation_rows
        options = {"X_val": X[others], "y_val": NUMBERS[others], "sample_weight_val": 2.0}
        theirs = clone(net).set_params(random_state=request.estimator.random_state)
        theirs.fit(X[rows], NUMBERS[rows], 2.0, **options)
        assert_same_state(found.estimator.coefs_, theirs.coefs_, "coefs_")


def test_weights_in_float32():
    requests = requests_of(BackpropRegressor(**FIXED), NUMBERS, WEIGHT.astype(np.float32))
    assert_each_as_if_alone(requests)


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([0, 301], IndexError, r"range \[-301, 301\). Got 301"),
        ([-302], IndexError, "Got -302"),
        ([True, False], IndexError, "must have 301 entries. Got 2"),
        ([0.5, 1.0], TypeError, "whole numbers, or a mask"),
        (["a"], TypeError, "whole numbers, or a mask"),
        ([[0, 1]], TypeError, "whole numbers, or a mask"),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["rows", "validation_rows"])
def test_rows_that_there_are_not(rows, error, message, name):
    with pytest.raises(error, match=message):
        FitRequest(BackpropRegressor(), Data(X, NUMBERS), **{name: rows})


def test_no_rows():
    net = BackpropRegressor(**FIXED, random_state=0)
    found = fit_requests([FitRequest(net, Data(X, NUMBERS), rows) for rows in ([], [], [0, 1])])
    assert [one.reason for one in found[:2]] == ["there are no rows to train on"] * 2
