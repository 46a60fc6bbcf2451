"""learning_rate_init="auto": a rate found inside fit, and nothing else changed by it."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, make_regression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split

from bpestimator import BackpropClassifier, BackpropRegressor, Cosine, CustomLoss, Quantile

from data import all_of_diabetes as diabetes
from data import cancer, iris, replace_everywhere, weights

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


SETTINGS = {
    "plain": (iris, BackpropClassifier()),
    "sgd": (iris, BackpropClassifier(solver="sgd")),
    "dropout": (iris, BackpropClassifier(dropout=0.2)),
    "early stopping": (iris, BackpropClassifier(early_stopping=True)),
    "schedule": (iris, BackpropClassifier(learning_rate="adaptive")),
    "class weights": (iris, BackpropClassifier(class_weight="balanced", batch_size=20)),
    "regressor": (diabetes, BackpropRegressor()),
    "quantiles": (diabetes, BackpropRegressor(loss=Quantile([0.1, 0.9]))),
    "too large for lockstep": (iris, BackpropClassifier(hidden_layer_sizes=(400, 400))),
}


def rate_of(est):
    return est.history_["learning_rate"][0]


def assert_same_as_given(auto, X, y, **fit_params):
    """A fit as if the rate that was found had been given."""
    given = clone(auto).set_params(learning_rate_init=rate_of(auto)).fit(X, y, **fit_params)
    assert_array_equal(weights(auto), weights(given))


def assert_is_one_tried(rate):
    """Of five rates, 10 to the power of 0.4 apart."""
    assert min(abs(rate / 10 ** (-3 + 0.4 * k) - 1) for k in range(5)) < 1e-12


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_after_the_rate_is_found_the_fit_is_as_if_it_had_been_given(setting):
    data, net = setting
    X, y = data()
    auto = clone(net).set_params(learning_rate_init="auto", max_iter=8, random_state=0).fit(X, y)
    assert_same_as_given(auto, X, y)
    assert 1e-5 < rate_of(auto) < 1
    if net.learning_rate == "constant":
        assert auto.learning_rate_ == rate_of(auto)
    assert auto.learning_rate_init == "auto"


def test_it_beats_a_rate_that_is_too_small():
    X, y = diabetes()
    fixed = {"max_iter": 15, "random_state": 0}
    auto = BackpropRegressor(learning_rate_init="auto", **fixed)
    default = BackpropRegressor(**fixed)
    assert cross_val_score(auto, X, y).mean() > cross_val_score(default, X, y).mean() + 0.05


def shifted(y, prediction):
    return (prediction - y) ** 2 - 100


def twice(y, prediction):
    return 2 * (prediction - y)


def test_a_loss_below_zero():
    X, y = diabetes()
    est = BackpropRegressor(CustomLoss(shifted, twice), (8,), learning_rate_init="auto")
    est.set_params(max_iter=5, random_state=0).fit(X, y)
    assert est.loss_ < 0
    found = rate_of(est)
    assert 0.002 < found < 0.1
    slow = clone(est).set_params(learning_rate_init=0.001).fit(X, y)
    assert est.loss_ < slow.loss_


def test_a_cliff_is_kept_away_from():
    X, y = diabetes()
    net = BackpropRegressor(solver="sgd", learning_rate_init="auto", random_state=0, max_iter=20)
    assert net.fit(X, y).score(X, y) > 0.4
    assert net.stop_reason_.startswith("max_iter")


def test_it_says_what_it_chose_and_why(capsys):
    X, y = iris()
    net = BackpropClassifier(learning_rate_init="auto", max_iter=50, random_state=0, verbose=True)
    net.fit(X, y)
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith(f"learning_rate_init='auto': {net.learning_rate_:.3g}.")
    assert "held-out loss" in first
    assert "times 0.5 for max_iter=50" in first


def test_it_says_so_where_nothing_learns(capsys):
    X, y = diabetes()
    net = BackpropRegressor(learning_rate_init="auto", solver="sgd", max_iter=3, random_state=0)
    with pytest.raises(ValueError, match="non-finite"):
        net.set_params(verbose=True).fit(1e200 * X, y)
    assert "all diverge, so the lowest is taken" in capsys.readouterr().out


@pytest.mark.parametrize("scale", [1, 100])
def test_it_goes_lower_where_every_trial_explodes(scale):
    X, y = load_diabetes(return_X_y=True)
    X, y = 20 * X, scale * y  # in the hundreds, and not standardised
    net = BackpropRegressor(solver="sgd", learning_rate_init="auto", random_state=0, max_iter=30)
    assert net.fit(X, y).score(X, y) > 0.2
    assert rate_of(net) < 0.005


@pytest.mark.parametrize("rows", [50, 200])
@pytest.mark.parametrize("scale", [1, 10])
def test_it_tries_longer_where_few_steps_teach_little(rows, scale, capsys):
    X, y = make_regression(rows, 10, noise=5, random_state=0)
    y = scale * y
    net = BackpropRegressor(learning_rate_init="auto", random_state=0, verbose=True)
    assert net.fit(X, y).score(X, y) > 0.95
    assert "tried for 16 epochs each" in capsys.readouterr().out


def test_it_takes_the_highest_where_training_is_too_short_to_try_longer(capsys):
    X, y = make_regression(50, 10, noise=5, random_state=0)
    net = BackpropRegressor(learning_rate_init="auto", random_state=0, max_iter=60, verbose=True)
    assert rate_of(net.fit(X, y)) == pytest.approx(10**-1.4)
    assert "still falls in proportion to the rate" in capsys.readouterr().out


@pytest.mark.parametrize("constant", [-1e3, 10, 1e6])
def test_a_constant_added_to_the_loss_changes_nothing(constant):
    X, y = diabetes()
    losses = [
        CustomLoss(lambda p, y, c=c: 0.5 * (p - y) ** 2 + c, lambda p, y: p - y)
        for c in (0.0, constant)
    ]
    plain, shifted = (
        BackpropRegressor(loss=loss, learning_rate_init="auto", random_state=0, max_iter=2)
        .fit(X[:60], 100 * y[:60])
        .learning_rate_
        for loss in losses
    )
    assert plain == shifted


def test_longer_trials_that_explode_do_not_undo_what_shorter_ones_found():
    X, y = make_regression(100, 5, noise=1, random_state=0)
    net = BackpropRegressor(
        solver="sgd", learning_rate_init="auto", random_state=0, max_iter=200, verbose=False
    )
    for scale in (1e3, 1e6, 1e9):
        assert net.fit(X, scale * y).score(X, scale * y) > 0


def test_a_longer_fit_takes_a_smaller_rate():
    X, y = iris()
    rates = [
        BackpropClassifier(learning_rate_init="auto", max_iter=n, tol=1, random_state=0)
        .fit(X, y)
        .learning_rate_
        for n in (20, 25, 100)
    ]
    assert rates[0] == rates[1] == pytest.approx(4 * rates[2])


def test_once_found_it_is_kept():
    X, y = diabetes()
    net = BackpropRegressor(learning_rate_init="auto", random_state=0, max_iter=5)
    first = net.partial_fit(X[::2], y[::2]).learning_rate_
    net.partial_fit(X[1::2], 30 * y[1::2])
    assert net.learning_rate_ == first
    assert clone(net).partial_fit(X[1::2], 30 * y[1::2]).learning_rate_ > 2 * first
    warm = clone(net).set_params(warm_start=True)
    first = warm.fit(X, y).learning_rate_
    assert warm.fit(X, 30 * y).learning_rate_ == first
    assert clone(warm).fit(X, 30 * y).learning_rate_ > 2 * first


@pytest.mark.parametrize("data", [iris, cancer])
def test_trials_are_stratified(data, monkeypatch):
    X, y = data()
    held_out = []

    def spied(rows, **options):
        parts = train_test_split(rows, **options)
        held_out.append(parts[1])
        return parts

    replace_everywhere(monkeypatch, train_test_split, spied)
    BackpropClassifier(learning_rate_init="auto", random_state=0, max_iter=1).fit(X, y)
    (rows,) = held_out
    np.testing.assert_allclose(np.bincount(y[rows]), np.bincount(y) / 5, atol=0.5)


@pytest.mark.parametrize("rows", [2, 6, 12])
def test_few_rows(rows):
    X, y = iris()
    X, y = X[:: 150 // rows], y[:: 150 // rows]
    net = BackpropClassifier(learning_rate_init="auto", random_state=0, max_iter=3)
    assert_is_one_tried(net.fit(X, y).learning_rate_)
    assert_same_as_given(net, X, y)


def test_classes_of_one_row_and_weights_of_zero():
    X, y = iris()
    y = np.where(np.arange(150) == 3, 7, y)
    net = BackpropClassifier(learning_rate_init="auto", random_state=0, max_iter=3)
    assert_is_one_tried(net.fit(X, y).learning_rate_)
    weight = (np.arange(150) < 10).astype(float)
    assert_is_one_tried(net.fit(X, y, sample_weight=weight).learning_rate_)
    assert_same_as_given(net, X, y, sample_weight=weight)


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csc_matrix])
def test_sparse(kind):
    X, y = iris()
    net = BackpropClassifier(learning_rate_init="auto", random_state=0, max_iter=3)
    dense = net.fit(np.maximum(X, 0), y).learning_rate_
    assert net.fit(kind(np.maximum(X, 0)), y).learning_rate_ == pytest.approx(dense)


def test_a_number_as_learning_rate_leaves_nothing_to_find():
    X, y = iris()
    net = BackpropClassifier(learning_rate=0.02, learning_rate_init="auto", max_iter=3)
    assert net.fit(X, y).learning_rate_ == 0.02


def test_lbfgs_has_no_rate_to_find():
    X, y = iris()
    net = BackpropClassifier(solver="lbfgs", learning_rate_init="auto", random_state=0)
    same = clone(net).set_params(learning_rate_init=0.001).fit(X, y)
    with pytest.warns(UserWarning, match="learning_rate_init='auto' is not used by"):
        net.fit(X, y)
    assert_array_equal(net.coefs_[0], same.coefs_[0])


def test_targets_of_any_size():
    rng = np.random.RandomState(0)
    size, rooms, land = (
        rng.lognormal(7.5, 0.4, 1500),
        rng.randint(1, 6, 1500),
        rng.lognormal(9, 0.5, 1500),
    )
    price = 150 * size + 20_000 * rooms + 3 * land  # squared errors beyond 1e10
    net = BackpropRegressor(learning_rate_init="auto", random_state=0, max_iter=25)
    assert net.fit(np.c_[size, rooms, land], price).learning_rate_ > 0.01


def test_a_rate_set_before_is_not_one_found():
    X, y = iris()
    net = BackpropClassifier(learning_rate_init=1e-5, warm_start=True, random_state=0, max_iter=3)
    assert net.fit(X, y).set_params(learning_rate_init="auto").fit(X, y).learning_rate_ > 1e-4


def test_it_can_be_one_of_the_rates_searched():
    X, y = iris()
    net = BackpropClassifier(max_iter=5, random_state=0)
    search = GridSearchCV(net, {"learning_rate_init": [1e-5, "auto"]}).fit(X, y)
    assert search.best_params_ == {"learning_rate_init": "auto"}


def test_with_a_schedule_object():
    X, y = iris()
    net = BackpropClassifier(
        learning_rate=Cosine(warmup=2), learning_rate_init="auto", max_iter=10, random_state=0
    )
    history = net.fit(X, y).history_
    assert max(history["learning_rate"]) > 10 * history["learning_rate"][-1]


def test_other_words_are_refused():
    with pytest.raises(ValueError, match=r"'learning_rate_init'.*or 'auto'\. Got 'best'"):
        BackpropClassifier(learning_rate_init="best").fit(*iris())
