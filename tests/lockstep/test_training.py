"""Groups of networks: which train together, which leave, and each as if it were alone."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone

from bpestimator import AdamW, BackpropClassifier
from bpestimator.lockstep import Alone, Data, FitRequest, Fitted, fit_requests, preparing
from bpestimator.lockstep.grouping import lockstep_key, lockstep_obstacle
from bpestimator.training import OPTIMIZERS, lockstep

from data import iris

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def nets(n=6, **params):
    fixed = {"hidden_layer_sizes": (9,), "max_iter": 25, "tol": 0.02, "n_iter_no_change": 1}
    return [
        BackpropClassifier(
            **{**fixed, "random_state": 0, "learning_rate_init": rate, "alpha": alpha, **params}
        )
        for rate, alpha in zip(np.geomspace(1e-3, 0.3, n), np.linspace(0, 1, n), strict=True)
    ]


def assert_same_model(ours, theirs):
    for a, b in zip(
        ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True
    ):
        assert_array_equal(a, b)
    assert ours.loss_curve_ == theirs.loss_curve_
    for name in ("n_iter_", "t_", "learning_rate_"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.stop_reason_ == theirs.stop_reason_
    assert vars(ours).keys() == vars(theirs).keys()


class Fold(NamedTuple):
    """Networks to train on the same rows: some of a larger array, or an array of their own."""

    estimators: list[Any]
    X: Any
    y: Any
    rows: Any = None

    def requests(self):
        data = Data(self.X, self.y)
        return [FitRequest(net, data, self.rows) for net in self.estimators]

    def alone(self):
        rows = slice(None) if self.rows is None else self.rows
        return [clone(net).fit(self.X[rows], self.y[rows]) for net in self.estimators]


def fit_folds(folds):
    """What comes of each fold's requests."""
    found = iter(fit_requests([request for fold in folds for request in fold.requests()]))
    return [[next(found) for _ in fold.estimators] for fold in folds]


def assert_as_if_alone(folds):
    """Every network of every fold trains in lockstep, and equals its own fit; the fitted ones."""
    fits = fit_folds(folds)
    for fold, fits_of_fold in zip(folds, fits, strict=True):
        for fit, theirs in zip(fits_of_fold, fold.alone(), strict=True):
            assert isinstance(fit, Fitted), fit
            assert_same_model(fit.estimator, theirs)
    return [[fit.estimator for fit in fits_of_fold] for fits_of_fold in fits]


SETTINGS = {
    **{f"solver {name}": {"solver": name} for name in OPTIMIZERS},
    "weight decay": {"solver": AdamW(weight_decay=0.3)},
    "adaptive": {"learning_rate": "adaptive", "solver": "sgd"},
    "cosine": {"learning_rate": "cosine"},
    "small batches": {"batch_size": 7},
    "not shuffled": {"shuffle": False},
    "dropout": {"dropout": [0.1, 0.4]},
    "diagnostics": {"diagnostics": True},
    "early stopping": {"early_stopping": True},
    "early stopping by a scorer": {"early_stopping": True, "scoring": "neg_log_loss"},
    "class weights": {"class_weight": "balanced"},
    "rare classes": {"class_weight": {0: 5, 1: 0.1}, "early_stopping": True},
    **{f"{n} units": {"hidden_layer_sizes": (n, 4, n), "batch_size": 60} for n in (1, 2, 3, 5)},
    "many units": {"hidden_layer_sizes": (33, 20)},
    "two layers": {"hidden_layer_sizes": (7, 5), "activation": ["tanh", "gelu"]},
}


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("seeds", [[0], [0, 1, 7]], ids=["one seed", "three seeds"])
@pytest.mark.parametrize("n_folds", [1, 3])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("in_place", [False, True], ids=["own array", "rows of one array"])
def test_each_model_is_as_if_alone(setting, seeds, n_folds, n_classes, in_place, sizes):
    X, y = iris()
    y = y % n_classes
    folds = []
    for k in range(n_folds):
        ones = nets(**setting)
        for number, net in enumerate(ones):
            net.set_params(random_state=seeds[number % len(seeds)])
        rows = np.delete(np.arange(150), np.s_[k::10])
        folds.append(Fold(ones, X, y, rows) if in_place else Fold(ones, X[rows], y[rows]))
    fitted = assert_as_if_alone(folds)
    assert sizes[0] == 6 * n_folds  # all side by side
    if setting.keys() & {"early_stopping", "learning_rate", "class_weight"}:
        return  # partial_fit takes neither early stopping, nor this schedule, nor "balanced"
    for ours, theirs in zip(fitted[0], folds[0].alone(), strict=True):
        assert_same_model(ours.partial_fit(X, y), theirs.partial_fit(X, y))


def test_models_stop_at_different_epochs_in_these_tests():
    (fits,) = fit_folds([Fold(nets(), *iris())])
    assert len({fit.estimator.n_iter_ for fit in fits}) > 3


def test_one_that_stops_in_the_last_epoch_does_not_speak_for_the_others():
    X, y = iris()
    epochs = sorted(net.fit(X, y).n_iter_ for net in nets())
    (fitted,) = assert_as_if_alone([Fold(nets(max_iter=epochs[1]), X, y)])
    assert {net.stop_reason_.split(":")[0] for net in fitted} == {"converged", "max_iter"}


def test_a_group_is_split_to_fit_the_cache(monkeypatch, sizes):
    monkeypatch.setattr(lockstep, "GROUP_BYTES", 4 * 54_000)  # a model takes 46 200
    assert_as_if_alone([Fold(nets(8, dropout=0.2, max_iter=3), *iris())])
    assert max(sizes) == 4


def test_folds_of_many_rows_train_one_after_the_other(monkeypatch, sizes):
    X, y = iris()
    monkeypatch.setattr("bpestimator.lockstep.training.MOST_BYTES", 2 * X[5:].nbytes - 1)
    in_order = {"max_iter": 1, "shuffle": False}  # shuffled rows may be copied, and count twice
    fit_folds([Fold(nets(**in_order), X[k : k + 145], y[k : k + 145]) for k in range(3)])
    assert sizes == [12, 6]


def test_models_that_share_their_rows_and_seed_share_a_stream(monkeypatch):
    X, y = iris()
    streams = []
    train = lockstep.train

    def spied(spec, batches, rules, state, **others):
        streams.append(len(set(state.streams)))
        return train(spec, batches, rules, state, **others)

    monkeypatch.setattr(lockstep, "train", spied)
    ones = nets(max_iter=1)
    ones[0].set_params(random_state=5)
    fit_folds([Fold(ones, X[5:], y[5:]), Fold(nets(max_iter=1), X[:-5], y[:-5])])
    assert streams == [2]


def test_networks_too_large_are_found_at_the_first_fold(monkeypatch):
    X, y = iris()
    prepared = []
    prepare = preparing.prepare_stochastic
    monkeypatch.setattr(
        preparing, "prepare_stochastic", lambda task: prepared.append(task) or prepare(task)
    )
    fits = fit_folds([Fold(nets(hidden_layer_sizes=(600, 600)), X, y) for _ in range(3)])
    too_large = Alone("networks too large to gain from lockstep")
    assert fits == [[too_large] * 6] * 3
    assert len(prepared) == 1


def test_what_cannot_be_fitted_is_left_alone():
    X, y = iris()
    folds = [Fold(nets(), X, y), Fold(nets(), X[:, 0], y)]
    good, bad = fit_folds(folds)
    assert all(isinstance(fit, Fitted) for fit in good)
    assert {fit.reason for fit in bad} == {
        "its fit fails: Expected 2D array, got 1D array instead:"
    }


@pytest.mark.parametrize(
    "different",
    [
        {"hidden_layer_sizes": (8,)},
        {"activation": "tanh"},
        {"solver": "sgd"},
        {"batch_size": 10},
        {"max_iter": 26},
        {"learning_rate": "cosine"},
        {"dropout": 0.1},
        {"label_smoothing": 0.1},
        {"nesterovs_momentum": False, "solver": "sgd"},
    ],
    ids=str,
)
def test_other_differences_keep_models_apart(different):
    one, other = nets(2)
    assert lockstep_key(one) == lockstep_key(other)
    assert lockstep_key(one) != lockstep_key(other.set_params(**different))


@pytest.mark.parametrize("n_rates", [1, 2, 3])
def test_label_smoothing_may_differ_within_a_group(sizes, n_rates):
    X, y = iris()
    shares = (0.1, 0.3, 0.1, 0.2)

    def grid():
        return [
            net.set_params(label_smoothing=share, tol=0)
            for net in nets(n_rates)
            for share in shares
        ]

    assert_as_if_alone([Fold(grid(), X[start::2], y[start::2]) for start in (0, 1)])
    assert sizes[0] == 2 * 4 * n_rates


def test_reasons_to_go_alone():
    (net,) = nets(1)
    assert lockstep_obstacle(net) is None
    assert "lbfgs" in lockstep_obstacle(clone(net).set_params(solver="lbfgs"))
    assert "not allowed" in lockstep_obstacle(clone(net).set_params(alpha=-1))
    assert "verbose" in lockstep_obstacle(clone(net).set_params(verbose=True))
