"""Which requests are grouped, and the reasons that the others get."""

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from bpestimator import (
    Adam,
    BackpropClassifier,
    BackpropRegressor,
    Constant,
    CustomActivation,
    LockstepGridSearchCV,
)
from bpestimator.lockstep import Alone, Data, FitRequest, Fitted, fit_requests, plan

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
X = (X - X.mean(0)) / X.std(0)
DATA = Data(X, y)
FOLDS = [np.delete(np.arange(150), np.s_[k::3]) for k in range(3)]


def net(**params):
    return BackpropClassifier(**{"max_iter": 3, "random_state": 0, **params})


def reasons(nets, data=DATA):
    """Why each network goes alone; None where it is grouped."""
    planned = plan([FitRequest(one, data) for one in nets])
    return [planned.alone.get(number) for number in range(len(nets))]


@dataclass(frozen=True)
class AMSGrad(Adam):
    """An optimizer of a user's, with a flag."""

    amsgrad: bool = False

    name = "amsgrad"


@dataclass(frozen=True)
class Picky(Adam):
    """An optimizer of a user's that takes one model only."""

    name = "picky"

    def step(self, params, grads, state, factor, scratch):
        if params.ndim > 1:
            raise RuntimeError("one model, please")
        super().step(params, grads, state, factor, scratch)


@dataclass(frozen=True)
class HalfTime(Constant):
    """A schedule of a user's that branches on its number."""

    until: float = 1.0

    name = "half_time"

    def rate(self, initial, clock):
        return initial if clock.epoch < self.until else initial / 2


class Sine:
    """A function that is an object; reprs are equal whatever the factor."""

    def __init__(self, factor):
        self.factor = factor

    def __repr__(self):
        return "Sine()"

    def __call__(self, z):
        return np.sin(self.factor * z)

    def derivative(self, z):
        return self.factor * np.cos(self.factor * z)


def sine(factor):
    return CustomActivation(Sine(factor), Sine(factor).derivative)


def test_a_flag_that_differs_is_named():
    solvers = [AMSGrad(), AMSGrad(beta_1=0.5), AMSGrad(), AMSGrad(amsgrad=True)]
    found = reasons([net(solver=solver) for solver in solvers])
    assert found == [None, None, None, "differs in amsgrad"]


def test_parameters_that_differ_are_named():
    others = [net(tol=0.1), net(tol=0.1, activation="tanh")]
    found = reasons([net(alpha=alpha) for alpha in (0.1, 0.2, 0.3)] + others)
    assert found[:3] == [None] * 3
    assert found[3:] == ["differs in tol", "differs in activation"]


def test_a_single_kind_has_nothing_to_differ_from():
    too_few = "fewer than 3 fits of the same kind on equally many rows"
    assert reasons([net(), net()]) == [too_few] * 2


def test_a_flag_that_differs_is_named_by_the_search(capsys):
    solvers = [AMSGrad(), AMSGrad(beta_1=0.5), AMSGrad(beta_1=0.8), AMSGrad(amsgrad=True)]
    grid = {"solver": solvers}
    LockstepGridSearchCV(net(), grid, cv=2, verbose=1, refit=False).fit(X, y)
    assert "6 of 8 fits in lockstep" in (out := capsys.readouterr().out)
    assert "2 alone: differs in amsgrad" in out


def test_functions_that_are_objects_train_alone():
    found = reasons([net(activation=sine(factor)) for factor in (1.0, 1.0, 2.0)])
    assert found == ["a function is an object that may hold state, which each fit copies"] * 3


def test_candidates_with_equal_reprs_have_their_own_scores():
    grid = {"activation": [sine(factor) for factor in (1.0, 100.0, 1e-6)]}
    search = LockstepGridSearchCV(net(max_iter=30), grid, cv=3).fit(X, y)
    for number, activation in enumerate(grid["activation"]):
        scores = [search.cv_results_[f"split{k}_test_score"][number] for k in range(3)]
        alone = net(max_iter=30, activation=activation)
        assert scores == cross_val_score(alone, X, y, cv=3).tolist()


def test_schedules_that_branch_are_grouped_by_their_numbers():
    nets = [net(learning_rate=HalfTime(until=until)) for until in (1.0, 1.0, 1.0, 2.0)]
    assert reasons(nets) == [None, None, None, "differs in learning_rate"]


def test_an_optimizer_that_takes_one_model_only_trains_alone():
    """Whatever a user's own code raises in a group, its fits alone may go well."""
    found = fit_requests(
        [FitRequest(net(solver=Picky(), alpha=alpha), DATA) for alpha in (1, 2, 3)]
    )
    assert found == [Alone("in a group it raises RuntimeError: one model, please")] * 3
    assert net(solver=Picky()).fit(X, y).n_iter_ == 3


def test_a_step_of_a_pipeline_that_raises_leaves_the_fit_to_raise_it():
    def raises(X):
        raise KeyError("no such column")

    pipe = make_pipeline(FunctionTransformer(raises), net())
    found = fit_requests([FitRequest(clone(pipe), DATA) for _ in range(3)])
    assert found == [Alone("its fit fails: 'no such column'")] * 3


def test_steps_around_the_network_are_compared_by_value():
    pipes = [make_pipeline(FunctionTransformer(np.tanh), net(alpha=a)) for a in (1, 2, 3)]
    other = make_pipeline(FunctionTransformer(np.sinh), net(alpha=4))
    found = reasons([*pipes, other])
    assert found == [None, None, None, "differs in the steps around the network"]


def test_requests_on_other_rows_weights_and_kinds_are_apart():
    weight = np.linspace(1, 2, 150)
    requests = [
        *(FitRequest(net(random_state=seed), DATA, rows) for seed, rows in enumerate(FOLDS)),
        *(FitRequest(net(), DATA, rows, None, weight) for rows in FOLDS),
        *(FitRequest(BackpropRegressor(max_iter=3, random_state=0), DATA, rows) for rows in FOLDS),
    ]
    planned = plan(requests)
    assert sorted(planned.jobs) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    found = fit_requests(requests)
    assert all(isinstance(one, Fitted) for one in found)
    for one, request in zip(found, requests, strict=True):
        rows = request.rows
        own_weight = None if request.sample_weight is None else weight[rows]
        theirs = clone(request.estimator).fit(X[rows], y[rows], own_weight)
        np.testing.assert_array_equal(one.estimator.coefs_[0], theirs.coefs_[0])


def test_the_estimator_of_a_request_is_left_as_it_is():
    requests = [FitRequest(net(alpha=alpha), DATA) for alpha in (1, 2, 3)]
    before = [vars(request.estimator).copy() for request in requests]
    fit_requests(requests)
    assert [vars(request.estimator) for request in requests] == before


def test_one_estimator_with_and_without_weights_is_in_two_groups():
    one, weight = net(), np.linspace(1, 2, 150)
    weights = [None, weight, None, weight, None, weight]
    requests = [FitRequest(one, DATA, sample_weight=each) for each in weights]
    planned = plan(requests)
    assert sorted(planned.jobs) == [[0, 2, 4], [1, 3, 5]]
    for found, each in zip(fit_requests(requests), weights, strict=True):
        theirs = clone(one).fit(X, y, each)
        np.testing.assert_array_equal(found.estimator.coefs_[0], theirs.coefs_[0])
