"""history_, stop_reason_ and max_time: what happened, why it ended, how long it may take."""

import copy
import time

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from bpestimator import BackpropClassifier, BackpropRegressor
from bpestimator.training import Run

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.RandomState(0)
X = RNG.randn(150, 4)
Y = (X[:, 0] + 0.5 * RNG.randn(150) > 0).astype(int)
NAMES = ["epoch", "loss", "validation_loss", "validation_score", "learning_rate", "seconds"]


def model(**params):
    params = {"max_iter": 5, "random_state": 0} | params
    return BackpropClassifier((6,), **params)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_one_row_an_epoch(solver):
    est = model(solver=solver, learning_rate="cosine").fit(X, Y)
    table = pd.DataFrame(est.history_)
    assert list(table) == NAMES
    assert list(table["epoch"]) == [1, 2, 3, 4, 5]
    assert list(table["loss"]) == est.loss_curve_
    assert table["validation_score"].isna().all()
    assert (np.diff(table["learning_rate"]) < 0).all()
    assert table["learning_rate"].iloc[-1] == est.learning_rate_
    assert (table["seconds"] > 0).all()


def test_validation_scores_are_in_it():
    est = model(early_stopping=True).fit(X, Y)
    assert est.history_["validation_score"] == est.validation_scores_


def test_lbfgs_has_one_too():
    est = model(solver="lbfgs", max_iter=4).fit(X, Y)
    table = pd.DataFrame(est.history_)
    assert list(table["epoch"]) == [1, 2, 3, 4]
    assert table["loss"].iloc[-1] == pytest.approx(est.loss_)
    assert (np.diff(table["loss"]) < 0).all()
    assert table["learning_rate"].isna().all()


def test_it_goes_on_with_partial_fit_and_warm_start_and_begins_anew_with_fit():
    est = model(max_iter=2, warm_start=True).fit(X, Y)
    est.partial_fit(X, Y).fit(X, Y)
    assert est.history_["epoch"] == [1, 2, 3, 4, 5]
    assert est.history_["loss"] == est.loss_curve_
    before = copy.deepcopy(est.history_)
    with pytest.raises(ValueError, match="NaN"):
        est.partial_fit(X * np.nan, Y)
    assert est.history_["loss"] == before["loss"]
    assert est.set_params(warm_start=False).fit(X, Y).history_["epoch"] == [1, 2]


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({}, "max_iter: 5 epochs have passed."),
        ({"max_iter": 500, "tol": 0.1, "n_iter_no_change": 3}, "converged: The training loss did"),
        (
            {"max_iter": 500, "early_stopping": True, "n_iter_no_change": 3},
            "converged: The validation score did not improve by tol=0.0001 for 3 epochs in a row.",
        ),
        ({"solver": "lbfgs", "max_iter": 3}, "max_iter: STOP"),
        (
            {"solver": "lbfgs", "tol": 0.1, "max_iter": 500},
            "converged: lbfgs found no further descent",
        ),
        ({"solver": "lbfgs", "max_fun": 5, "max_iter": 99}, "max_fun: STOP"),
        ({"max_time": 1e-9}, "max_time: 1e-09 seconds have passed, in 1 epochs."),
        ({"solver": "lbfgs", "max_time": 1e-9}, "max_time: 1e-09 seconds have passed, in 1 iter"),
    ],
)
def test_why_it_stopped(params, reason):
    assert model(**params).fit(X, Y).stop_reason_.startswith(reason)


def test_why_partial_fit_stopped():
    assert model().partial_fit(X, Y, classes=[0, 1]).stop_reason_.startswith("partial_fit: ")


def test_why_ctrl_c_stopped(monkeypatch, capsys):
    est = model(verbose=True)

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.print", interrupt)
    with pytest.warns(UserWarning, match="interrupted"):
        est.fit(X, Y)
    assert est.stop_reason_.startswith("interrupted: ")


def test_ctrl_c_while_an_epoch_is_written_down_leaves_a_whole_history(monkeypatch):
    def interrupted(run, loss, **others):
        run.history["epoch"].append(6)
        raise KeyboardInterrupt

    est = model().fit(X, Y)
    monkeypatch.setattr(Run, "record_epoch", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        est.partial_fit(X, Y)
    assert {len(column) for column in est.history_.values()} == {len(est.loss_curve_)} == {5}


def test_scoring_has_the_buffers_of_numpy_that_its_user_has():
    seen = set()

    def scoring(est, X, y):
        seen.add(np.getbufsize())
        return est.score(X, y)

    before = np.setbufsize(4096)
    try:
        model(early_stopping=True, scoring=scoring).fit(X, Y)
        assert seen == {np.getbufsize()} == {4096}
    finally:
        np.setbufsize(before)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("kind", [BackpropClassifier, BackpropRegressor])
def test_max_time_stops_and_keeps_what_was_learnt(kind, solver):
    # lbfgs is done in a moment: it gets less.
    limit = 0.3 if solver == "adam" else 0.001
    params = {"solver": solver, "max_time": limit, "max_iter": 10**7, "max_fun": 10**8}
    est = kind(hidden_layer_sizes=(60,), tol=0.0, **params)
    est.set_params(n_iter_no_change=np.inf, random_state=0)
    start = time.perf_counter()
    noisy = Y + 0.1 * RNG.randn(150) if kind is BackpropRegressor else RNG.permutation(Y)
    with pytest.warns(ConvergenceWarning):
        est.fit(X, noisy)
    assert time.perf_counter() - start < 30
    assert est.n_iter_ == len(est.history_["epoch"]) >= 1
    shorter = clone(est).set_params(max_iter=est.n_iter_, max_time=None).fit(X, noisy)
    assert_allclose(est.coefs_[0], shorter.coefs_[0], rtol=1e-9, atol=1e-12)


def test_max_time_that_is_long_enough_changes_nothing():
    assert_array_equal(model(max_time=1e6).fit(X, Y).coefs_[0], model().fit(X, Y).coefs_[0])
