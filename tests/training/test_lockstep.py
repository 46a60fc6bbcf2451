"""Groups of models: what is stacked, who leaves, and that nobody notices the others."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris

from bpestimator import Adam, AdamW, BackpropClassifier, NAdam
from bpestimator.estimators import TOO_FEW, Fit, Fold, fit_in_lockstep, lockstep_key, why_alone
from bpestimator.training import L2, OPTIMIZERS, Dropout, lockstep, stacked

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def iris():
    X, y = load_iris(return_X_y=True)
    return (X - X.mean(0)) / X.std(0), y


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


@pytest.fixture
def sizes(monkeypatch):
    """How many models were in training, each time that a group was gathered."""
    sizes = []
    train = lockstep.train

    def spied(spec, batches, rules, state, **others):
        sizes.append(len(state.runs))
        return train(spec, batches, rules, state, **others)

    monkeypatch.setattr(lockstep, "train", spied)
    return sizes


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
def test_each_model_is_as_if_alone(setting, seeds, n_folds, n_classes, sizes):
    X, y = iris()
    y = y % n_classes
    folds = [
        Fold(nets(**setting), np.delete(X, np.s_[k::10], 0), np.delete(y, np.s_[k::10]))
        for k in range(n_folds)
    ]
    for fold in folds:
        for k, net in enumerate(fold.estimators):
            net.set_params(random_state=seeds[k % len(seeds)])
    alone = [[clone(net).fit(fold.X, fold.y) for net in fold.estimators] for fold in folds]
    fits = list(fit_in_lockstep(folds))
    assert all(isinstance(fit, Fit) for of_fold in fits for fit in of_fold)
    assert sizes[0] == 6 * n_folds  # all side by side
    for fold, of_fold in zip(folds, alone, strict=True):
        for ours, theirs in zip(fold.estimators, of_fold, strict=True):
            assert_same_model(ours, theirs)
    if setting.keys() & {"early_stopping", "learning_rate", "class_weight"}:
        return  # partial_fit takes neither early stopping, nor this schedule, nor "balanced"
    X, y = folds[0].X, folds[0].y
    assert_same_model(folds[0].estimators[1].partial_fit(X, y), alone[0][1].partial_fit(X, y))


def test_models_stop_at_different_epochs_in_these_tests():
    X, y = iris()
    (fold,) = [Fold(nets(), X, y)]
    list(fit_in_lockstep([fold]))
    assert len({net.n_iter_ for net in fold.estimators}) > 3


def test_one_that_stops_in_the_last_epoch_does_not_speak_for_the_others():
    X, y = iris()
    epochs = sorted(net.fit(X, y).n_iter_ for net in nets())
    fold = Fold(nets(max_iter=epochs[1]), X, y)
    alone = [clone(net).fit(X, y) for net in fold.estimators]
    list(fit_in_lockstep([fold]))
    for ours, theirs in zip(fold.estimators, alone, strict=True):
        assert_same_model(ours, theirs)
    reasons = {net.stop_reason_.split(":")[0] for net in alone}
    assert reasons == {"converged", "max_iter"}


def test_a_group_is_split_to_fit_the_cache(monkeypatch, sizes):
    X, y = iris()
    monkeypatch.setattr(lockstep, "GROUP_BYTES", 4 * 54_000)  # a model takes 46 200
    fold = Fold(nets(8, dropout=0.2, max_iter=3), X, y)
    alone = [clone(net).fit(X, y) for net in fold.estimators]
    list(fit_in_lockstep([fold]))
    assert max(sizes) == 4
    for ours, theirs in zip(fold.estimators, alone, strict=True):
        assert_same_model(ours, theirs)


def test_folds_of_one_length_train_together(sizes):
    X, y = iris()
    rows = [slice(0, 140), slice(5, 145), slice(0, 139), slice(1, 140)]
    list(fit_in_lockstep(Fold(nets(max_iter=2, tol=0), X[some], y[some]) for some in rows))
    assert sizes[0] == 12
    assert sum(size >= 6 for size in sizes) >= 2


def test_folds_of_many_rows_train_one_after_the_other(monkeypatch, sizes):
    X, y = iris()
    monkeypatch.setattr("bpestimator.estimators.lockstep.FOLD_BYTES", 2 * X[5:].nbytes)
    in_order = {"max_iter": 1, "shuffle": False}  # shuffled rows may be copied, and count twice
    folds = (Fold(nets(**in_order), X[k : k + 145], y[k : k + 145]) for k in range(3))
    list(fit_in_lockstep(folds))
    assert sizes == [12, 6]


def test_models_that_share_their_rows_and_seed_share_a_stream(sizes, monkeypatch):
    X, y = iris()
    streams = []
    train = lockstep.train

    def spied(spec, batches, rules, state, **others):
        streams.append(len(set(state.streams)))
        return train(spec, batches, rules, state, **others)

    monkeypatch.setattr(lockstep, "train", spied)
    ones = nets(max_iter=1)
    ones[0].set_params(random_state=5)
    list(fit_in_lockstep([Fold(ones, X[5:], y[5:]), Fold(nets(max_iter=1), X[:-5], y[:-5])]))
    assert streams == [2]


def test_networks_too_large_are_found_at_the_first_fold():
    X, y = iris()
    seen = []

    def folds():
        for _ in range(3):
            seen.append(nets(hidden_layer_sizes=(600, 600)))
            yield Fold(seen[-1], X, y)

    assert list(fit_in_lockstep(folds())) == [["networks too large to gain from lockstep"] * 6]
    assert len(seen) == 1
    assert not hasattr(seen[0][1], "coefs_")


def test_what_cannot_be_fitted_is_left_alone():
    X, y = iris()
    bad, good = Fold(nets(), X[:, 0], y), Fold(nets(), X, y)
    fits = list(fit_in_lockstep([good, bad, Fold(nets(2), X, y)]))
    assert all(isinstance(fit, Fit) for fit in fits[0])
    assert fits[1:] == [["the fit fails"] * 6, [TOO_FEW] * 2]
    assert not hasattr(bad.estimators[0], "coefs_")


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

    folds = [Fold(grid(), X[start::2], y[start::2]) for start in (0, 1)]
    fits = list(fit_in_lockstep(folds))
    assert sizes[0] == 2 * 4 * n_rates
    for fold, fits_of_fold in zip(folds, fits, strict=True):
        assert all(isinstance(fit, Fit) for fit in fits_of_fold)
        for together, alone in zip(fold.estimators, grid(), strict=True):
            assert_same_model(together, alone.fit(fold.X, fold.y))


def test_reasons_to_go_alone():
    (net,) = nets(1)
    assert why_alone(net) is None
    assert "lbfgs" in why_alone(clone(net).set_params(solver="lbfgs"))
    assert "not allowed" in why_alone(clone(net).set_params(alpha=-1))
    assert "verbose" in why_alone(clone(net).set_params(verbose=True))


def test_stacking():
    assert stacked([0.5, 0.5]) == 0.5
    assert_array_equal(stacked([0.5, 0.25]), [[0.5], [0.25]])
    both = stacked([(L2(0.1), Adam()), (L2(0.2), Adam(beta_2=0.9))])
    assert_array_equal(both[0].alpha, [[0.1], [0.2]])
    assert both[1].beta_1 == 0.9
    assert_array_equal(both[1].beta_2, [[0.999], [0.9]])
    assert_array_equal(stacked([Dropout((0.0, 0.1)), Dropout((0.0, 0.2))]).rates[1], [[0.1], [0.2]])
    for pair in ([Adam(), NAdam()], [True, False], ["a", "b"]):
        with pytest.raises(ValueError, match="cannot differ"):
            stacked(pair)
