"""A fit is never lost: neither to a strict filter of warnings nor to an early Ctrl-C."""

import builtins
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from bpestimator import BackpropClassifier, BackpropRegressor

X = np.random.default_rng(0).normal(size=(80, 4))
Y = X @ [1.0, -2.0, 0.5, 0.0]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_warning_raised_as_an_error_does_not_cost_the_fit(solver):
    est = BackpropRegressor(solver=solver, max_iter=3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning):
            est.fit(X, Y)
    assert est.n_iter_ == 3
    same = BackpropRegressor(solver=solver, max_iter=3, random_state=0).fit(X, Y)
    assert_array_equal(est.predict(X), same.predict(X))


def test_lists_of_a_call_that_fails_are_what_they_were(monkeypatch):
    est = BackpropRegressor(
        warm_start=True, max_iter=3, early_stopping=True, verbose=True, random_state=0
    )
    est.fit(X, Y)
    curve, scores = list(est.loss_curve_), list(est.validation_scores_)

    def broken(line):
        if line.startswith("Iteration 3"):
            raise BrokenPipeError

    monkeypatch.setattr(builtins, "print", broken)
    with pytest.raises(BrokenPipeError):
        est.fit(X, Y)
    assert est.loss_curve_ == curve
    assert est.validation_scores_ == scores


def test_ctrl_c_before_a_new_score_keeps_the_warm_model():
    est = BackpropRegressor(warm_start=True, early_stopping=True, max_iter=5, random_state=0)
    before = est.fit(X, Y).predict(X)

    def stop(*_, **__):
        raise KeyboardInterrupt

    est.set_params(scoring=stop)
    with pytest.warns(UserWarning, match="The model is what it was before"):
        est.fit(X, Y)
    assert_array_equal(est.predict(X), before)


def test_advice_looks_at_this_fit_alone():
    est = BackpropRegressor(
        warm_start=True, max_iter=20, n_iter_no_change=np.inf, random_state=0
    ).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="Increase max_iter"):
        est.fit(X, Y * 20 + 40)


@pytest.mark.parametrize("solvers", [("adam", "lbfgs", "adam"), ("sgd", "lbfgs", "sgd", "adam")])
def test_warm_starts_across_solvers_equal_those_of_mlp(solvers):
    fitted = []
    for kind in (BackpropRegressor, MLPRegressor):
        est = kind(warm_start=True, max_iter=4, random_state=0)
        for solver in solvers:
            est.set_params(solver=solver).fit(X, Y)
        fitted.append(est)
    for ours, theirs in zip(fitted[0].coefs_, fitted[1].coefs_, strict=True):
        assert_array_equal(ours, theirs)
    assert fitted[0].n_iter_ == fitted[1].n_iter_


def test_numbers_as_objects_are_numbers():
    params = {"max_iter": 5, "random_state": 0}
    ours = BackpropRegressor(**params).fit(X, Y.astype(object))
    theirs = MLPRegressor(**params).fit(X, Y.astype(object))
    assert_array_equal(ours.predict(X), theirs.predict(X))


def test_weights_set_before_any_fit_predict():
    est = BackpropRegressor()
    est.coefs_, est.intercepts_ = [np.ones((4, 2)), np.ones((2, 1))], [np.zeros(2), np.ones(1)]
    assert_array_equal(est.predict(np.ones((1, 4))), [9.0])


def test_weights_that_cancel_out_are_refused():
    weights = np.tile([1.0, -1.0], 40)
    for params in ({"batch_size": 2, "shuffle": False}, {"solver": "lbfgs"}):
        with pytest.raises(ValueError, match="sum to zero"):
            BackpropClassifier(**params).fit(X, Y > 0, sample_weight=weights)
