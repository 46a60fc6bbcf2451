"""Validation data, scorers, divergence and diagnostics: what happens while a fit runs."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import balanced_accuracy_score, get_scorer, log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from bpestimator import BackpropClassifier, BackpropRegressor, OneCycle, Quantile

from data import assert_candidates_score_as_alone

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
CANCER = load_breast_cancer()
X, X_VAL, Y, Y_VAL = train_test_split(
    scale(CANCER.data), CANCER.target_names[CANCER.target], random_state=0
)
DIABETES = load_diabetes()
Z = (DIABETES.target - DIABETES.target.mean()) / DIABETES.target.std()
ROWS = DIABETES.data / DIABETES.data.std(axis=0)
WEIGHT = np.linspace(0.5, 2, len(Y))
WEIGHT_VAL = np.linspace(0.5, 2, len(Y_VAL))


def classifier(**params):
    return BackpropClassifier((10,), **({"max_iter": 6, "random_state": 0} | params))


def regressor(*args, **params):
    params = {"hidden_layer_sizes": (10,), "max_iter": 6, "random_state": 0} | params
    return BackpropRegressor(*args, **params)


# The user's own rows to validate on.


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_rows_to_validate_on_change_nothing_but_what_is_told(solver):
    watched = classifier(solver=solver).fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    plain = classifier(solver=solver).fit(X, Y)
    for a, b in zip(watched.coefs_, plain.coefs_, strict=True):
        assert_array_equal(a, b)
    assert len(watched.validation_scores_) == len(watched.validation_loss_curve_) == 6
    assert watched.validation_scores_[-1] == watched.score(X_VAL, Y_VAL)
    assert watched.validation_loss_curve_[-1] == pytest.approx(
        log_loss(Y_VAL, watched.predict_proba(X_VAL))
    )
    assert watched.history_["validation_loss"] == watched.validation_loss_curve_
    assert watched.history_["validation_score"] == watched.validation_scores_


def test_their_weights_count():
    est = classifier().fit(X, Y, X_val=X_VAL, y_val=Y_VAL, sample_weight_val=WEIGHT_VAL)
    assert est.validation_scores_[-1] == pytest.approx(est.score(X_VAL, Y_VAL, WEIGHT_VAL))
    assert est.validation_loss_curve_[-1] == pytest.approx(
        log_loss(Y_VAL, est.predict_proba(X_VAL), sample_weight=WEIGHT_VAL)
    )


def test_early_stopping_goes_by_them_and_trains_on_all_of_x():
    params = {"early_stopping": True, "max_iter": 200, "learning_rate": 0.02}
    est = classifier(**params).fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    assert est.t_ == est.n_iter_ * len(X)
    assert est.best_validation_score_ == max(est.validation_scores_)
    assert est.score(X_VAL, Y_VAL) == est.best_validation_score_
    assert est.stop_reason_.startswith("converged: The validation score")
    split = classifier(**params).fit(X, Y)
    assert split.t_ == split.n_iter_ * (len(X) - np.ceil(0.1 * len(X)))


def test_a_held_out_fraction_has_a_loss_too():
    est = classifier(early_stopping=True).fit(X, Y)
    assert len(est.validation_loss_curve_) == len(est.validation_scores_)
    assert np.diff(est.validation_loss_curve_).max() < 0


def test_without_rows_there_is_nothing_to_tell():
    est = classifier().fit(X, Y)
    assert est.validation_scores_ is None
    assert est.validation_loss_curve_ is None
    assert np.isnan(est.history_["validation_loss"]).all()


def test_partial_fit_is_watched_too():
    est = classifier()
    for _ in range(3):
        est.partial_fit(X, Y, classes=np.unique(Y), X_val=X_VAL, y_val=Y_VAL)
        est = pickle.loads(pickle.dumps(est))
    assert len(est.validation_loss_curve_) == 3
    assert est.validation_scores_[-1] == est.score(X_VAL, Y_VAL)
    est.partial_fit(X, Y)
    assert np.isnan(est.history_["validation_score"]).tolist() == [False] * 3 + [True]


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csc_matrix, pd.DataFrame, np.float32])
def test_every_kind_of_rows(container):
    est = classifier().fit(container(X), Y, X_val=container(X_VAL), y_val=Y_VAL)
    assert est.validation_scores_[-1] == est.score(container(X_VAL), Y_VAL)


def test_other_kinds_of_targets():
    labels = (X[:, :3] > 0).astype(int)
    labels_val = (X_VAL[:, :3] > 0).astype(int)
    est = classifier().fit(X, labels, X_val=X_VAL, y_val=labels_val)
    assert est.validation_scores_[-1] == est.score(X_VAL, labels_val)
    two = regressor().fit(X, X[:, :2], X_val=X_VAL, y_val=X_VAL[:, :2])
    assert two.validation_scores_[-1] == pytest.approx(two.score(X_VAL, X_VAL[:, :2]))
    fan = regressor(Quantile([0.1, 0.9])).fit(X, X[:, 0], X_val=X_VAL, y_val=X_VAL[:, 0])
    assert fan.validation_scores_[-1] == pytest.approx(fan.score(X_VAL, X_VAL[:, 0]))


@pytest.mark.parametrize("class_weight", ["balanced", {"benign": 3.0}])
def test_class_weights_count_in_validation_as_in_training(class_weight):
    est = classifier(class_weight=class_weight).fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    by_class = {"benign": 3.0, "malignant": 1.0}
    if class_weight == "balanced":
        by_class = {name: len(Y) / (2 * np.sum(name == Y)) for name in by_class}
    weight = np.array([by_class[name] for name in Y_VAL])
    assert est.validation_scores_[-1] == pytest.approx(est.score(X_VAL, Y_VAL, weight))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X_val": X_VAL}, "X_val and y_val must be passed together. y_val is missing"),
        ({"y_val": Y_VAL}, "X_val and y_val must be passed together. X_val is missing"),
        ({"sample_weight_val": WEIGHT_VAL}, "sample_weight_val needs X_val and y_val"),
        ({"X_val": X_VAL[:, :5], "y_val": Y_VAL}, "X_val, .* cannot be used: X has 5 features"),
        ({"X_val": X_VAL * np.nan, "y_val": Y_VAL}, "X_val, .* cannot be used: .*NaN"),
        ({"X_val": X_VAL, "y_val": Y_VAL[1:]}, "cannot be used: .*inconsistent"),
        (
            {"X_val": X_VAL, "y_val": np.full(len(Y_VAL), "unheard of")},
            r"y_val has classes \['unheard of'\], but y has only \['benign' 'malignant'\]",
        ),
        (
            {"X_val": X_VAL, "y_val": Y_VAL, "sample_weight_val": WEIGHT_VAL[1:]},
            r"cannot be used: sample_weight.shape == \(142,\)",
        ),
    ],
)
def test_rows_that_cannot_be_validated_on(given, message):
    est = classifier()
    with pytest.raises(ValueError, match=message):
        est.fit(X, Y, **given)
    assert not hasattr(est, "coefs_")


def test_targets_of_another_width():
    with pytest.raises(ValueError, match="y_val needs 2 outputs of the network, but y needs 1"):
        regressor().fit(X, X[:, 0], X_val=X_VAL, y_val=X_VAL[:, :2])


def test_in_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), classifier(early_stopping=True))
    scaled = StandardScaler().fit(X).transform(X_VAL)
    pipeline.fit(X, Y, backpropclassifier__X_val=scaled, backpropclassifier__y_val=Y_VAL)
    assert len(pipeline[-1].validation_scores_) == 6


# Scorers.

BALANCED = make_scorer(balanced_accuracy_score)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    "scoring", ["balanced_accuracy", "neg_log_loss", "roc_auc", "f1_macro", BALANCED], ids=str
)
def test_any_scorer(scoring, early_stopping):
    est = classifier(scoring=scoring, early_stopping=early_stopping, n_iter_no_change=99)
    est.fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    score = get_scorer(scoring)(est, X_VAL, Y_VAL)
    seen = est.best_validation_score_ if early_stopping else est.validation_scores_[-1]
    assert seen == pytest.approx(score)


def test_a_scorer_sees_frames_fitted_on_names():
    names = [f"column {k}" for k in range(X.shape[1])]
    frame, frame_val = pd.DataFrame(X, columns=names), pd.DataFrame(X_VAL, columns=names)
    est = classifier(scoring="roc_auc").fit(frame, Y, X_val=frame_val, y_val=Y_VAL)
    assert est.validation_scores_[-1] == get_scorer("roc_auc")(est, frame_val, Y_VAL)


def test_the_loss_as_the_score():
    est = classifier(scoring="loss", early_stopping=True, max_iter=300, learning_rate=0.05, alpha=0)
    est.fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    assert est.validation_scores_ == [-loss for loss in est.validation_loss_curve_]
    assert -est.best_validation_score_ == min(est.validation_loss_curve_)
    assert log_loss(Y_VAL, est.predict_proba(X_VAL)) == pytest.approx(
        min(est.validation_loss_curve_)
    )
    assert est.n_iter_ < 300


def test_scorers_of_numbers_and_a_callable_of_ones_own():
    def closeness(est, x, y):
        return -float(np.abs(est.predict(x) - y).max())

    def bias(est, x, y):
        return np.asarray(-np.abs((est.predict(x) - y).mean()))

    for scoring in ("neg_median_absolute_error", closeness, bias):
        est = regressor(scoring=scoring, early_stopping=True)
        assert len(est.fit(ROWS, Z).validation_scores_) == 6
        est.fit(ROWS[100:], Z[100:], X_val=ROWS[:100], y_val=Z[:100])
        expected = get_scorer(scoring)(est, ROWS[:100], Z[:100])
        assert est.best_validation_score_ == max(est.validation_scores_) == expected


def plainly(est, x, y):
    return est.score(x, y)


@pytest.mark.parametrize("scoring", [plainly, "neg_max_error"], ids=["function", "neg_max_error"])
def test_scorers_that_take_no_weights_judge_without(scoring):
    y, y_val = ((labels == CANCER.target_names[0]).astype(int) for labels in (Y, Y_VAL))
    est = classifier(scoring=scoring, early_stopping=True, class_weight="balanced")
    est.fit(X, y, X_val=X_VAL, y_val=y_val)
    assert est.best_validation_score_ == get_scorer(scoring)(est, X_VAL, y_val)


def careless(est, x, y, sample_weight=None):
    if sample_weight is None:
        return 0.0
    return balanced_accuracy_score(y, est.predict(x), sample_weights=sample_weight)


def test_scorers_of_weights_fail_or_do_without():
    rows, labels = load_iris(return_X_y=True)
    fixed = {"early_stopping": True, "class_weight": "balanced"}
    with pytest.raises(TypeError, match="sample_weights"):  # its own mistake stays visible
        classifier(scoring=careless, **fixed).fit(rows, labels)
    est = classifier(scoring="roc_auc_ovo", **fixed)
    est.fit(rows[::2], labels[::2], X_val=rows[1::2], y_val=labels[1::2])
    expected = get_scorer("roc_auc_ovo")(est, rows[1::2], labels[1::2])
    assert est.best_validation_score_ == expected


def test_a_score_that_is_none_and_a_scorer_that_cannot_score():
    with pytest.raises(TypeError, match=r"must return a number; more is better\. Got None"):
        classifier(scoring=lambda est, x, y: None).fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    rows, labels = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="scoring='roc_auc' cannot score the validation set: "):
        classifier(scoring="roc_auc", early_stopping=True).fit(rows, labels)


def test_a_part_in_which_no_row_counts_is_refused():
    told = set()
    for weight in np.eye(len(Z))[:40]:  # a single row counts: in one part or in the other
        with pytest.raises(ValueError, match="rows of the ") as caught:
            regressor(early_stopping=True).fit(ROWS, Z, sample_weight=weight)
        told.add(re.sub("[0-9]+", "#", str(caught.value)).partition(", or")[0])
    rule = "All # rows of the {} set have weight #. {} 'validation_fraction'"
    assert told == {rule.format("training", "Decrease"), rule.format("validation", "Increase")}


def test_lbfgs_says_that_it_does_not_stop_early():
    est = classifier(solver="lbfgs", early_stopping=True)
    with pytest.warns(UserWarning, match="early_stopping=True is not used by solver='lbfgs'"):
        est.fit(X, Y, X_val=X_VAL, y_val=Y_VAL)


def test_a_scorer_with_nothing_to_score_is_told():
    with pytest.warns(UserWarning, match="scoring='r2' has nothing to score: pass X_val and y_val"):
        regressor(scoring="r2").fit(ROWS, Z)
    with pytest.warns(UserWarning, match="nothing to score"):
        regressor(scoring="r2", solver="lbfgs", early_stopping=True).fit(ROWS, Z)


def test_scorers_in_a_grid():
    grid = {"scoring": ["loss", "balanced_accuracy", None]}
    net = classifier(early_stopping=True, max_iter=20, learning_rate=0.1)
    search = GridSearchCV(net, grid, cv=2, scoring="neg_log_loss").fit(X, Y)
    # The two kinds of accuracy are highest after the same epoch.
    assert_candidates_score_as_alone(search, X, Y, alike=1)


# A fit is never lost.


def explosive(**params):
    """A linear network that learns until its rate has grown too far."""
    params = {
        "solver": "sgd",
        "learning_rate": OneCycle(),
        "learning_rate_init": 1.0,
        "activation": "identity",
        "max_iter": 60,
        "batch_size": 100,
    } | params
    return regressor(**params)


def test_divergence_stops_early_and_keeps_the_best_weights():
    est = explosive()
    with pytest.warns(ConvergenceWarning) as caught:
        est.fit(ROWS, Z)
    text = str(caught[0].message)
    best = int(np.nanargmin(est.loss_curve_))  # the weights that this epoch started from
    assert 1 < best < est.n_iter_ < 60
    assert est.loss_ > 1e20 or not np.isfinite(est.loss_)
    assert est.score(ROWS, Z) > 0.3
    rate = est.history_["learning_rate"][-1]
    for part in (
        f"in epoch {est.n_iter_}, at a learning rate of {rate:g}.",
        f"The weights after epoch {best} are kept.",
        f"Try learning_rate_init={rate / 10:g}, or max_grad_norm=1, or scale the data",
    ):
        assert part in text
    assert est.stop_reason_.startswith("diverged: The loss was ")
    seen = []

    def spy(fitted, X, y):
        seen.append(fitted.predict(X))
        return 0.0

    watched = explosive().set_params(scoring=spy).fit(ROWS, Z, X_val=ROWS, y_val=Z)
    assert_array_equal(watched.predict(ROWS), seen[best - 1])


def test_a_first_epoch_that_explodes_leaves_the_initial_weights():
    est = regressor(solver="sgd", learning_rate=0.3, activation="identity", batch_size=100)
    with pytest.warns(ConvergenceWarning, match="The weights before the first epoch are kept"):
        est.fit(3 * ROWS, Z)
    initial = regressor(learning_rate=1e-300, activation="identity", max_iter=1).fit(ROWS, Z)
    assert_array_equal(est.coefs_[0], initial.coefs_[0])


def test_a_warm_start_that_explodes_leaves_what_was_known():
    est = regressor(warm_start=True, max_iter=50).fit(ROWS, Z)
    before = est.predict(ROWS)
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        est.set_params(solver="sgd", learning_rate=3.0, batch_size=50).fit(ROWS, Z)
    assert_array_equal(est.predict(ROWS), before)


def test_what_survives_can_be_trained_on():
    est = explosive().fit(ROWS, Z)
    before = est.score(ROWS, Z)
    first = est.set_params(learning_rate=1e-3).partial_fit(ROWS, Z).loss_
    for _ in range(19):
        est.partial_fit(ROWS, Z)
    assert est.loss_ < first
    assert est.score(ROWS, Z) > before


def test_divergence_under_early_stopping_keeps_the_best_score():
    est = explosive(early_stopping=True, n_iter_no_change=60).fit(ROWS, Z, X_val=ROWS, y_val=Z)
    assert est.stop_reason_.startswith("diverged")
    assert "best validation score" in est.stop_reason_
    assert np.isnan(est.validation_scores_[-1])
    best = np.nanmax(est.validation_scores_)
    assert est.score(ROWS, Z) == est.best_validation_score_ == best


def test_where_nothing_was_ever_finite_there_is_an_error_with_advice():
    with pytest.raises(ValueError, match=r"non-finite parameter weights.*lower learning_rate_init"):
        regressor(solver="sgd", learning_rate_init=1e200).fit(ROWS, Z)


def test_partial_fit_that_explodes_leaves_the_model_as_it_was():
    est = explosive(learning_rate=1e-3).partial_fit(ROWS, Z)
    before = pickle.dumps(est.coefs_)
    with pytest.raises(ValueError, match="non-finite"):
        est.set_params(learning_rate=1e200).partial_fit(ROWS, Z)
    assert pickle.dumps(est.coefs_) == before


# Diagnostics.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("max_grad_norm", [None, 0.01])
def test_the_history_tells_of_every_layer(dtype, max_grad_norm):
    params = {"hidden_layer_sizes": (8, 5), "batch_size": 50, "max_grad_norm": max_grad_norm}
    plain = regressor(**params).fit(ROWS.astype(dtype), Z.astype(dtype))
    est = regressor(**params, diagnostics=True).fit(ROWS.astype(dtype), Z.astype(dtype))
    for a, b in zip(est.coefs_, plain.coefs_, strict=True):
        assert_array_equal(a, b)
    table = pd.DataFrame(est.history_)
    for name in ("gradient_norm", "weight_norm", "update_ratio"):
        assert (table[[f"{name}_{k}" for k in (1, 2, 3)]] > 0).all(axis=None)
    for k in (1, 2):
        assert table[f"idle_units_{k}"].between(0, 1).all()
    assert "idle_units_3" not in table
    norms = [np.linalg.norm(coef) for coef in est.coefs_]
    assert_allclose(table.filter(like="weight_norm").iloc[-1], norms, rtol=1e-6)


def test_the_numbers_are_those_of_the_last_step():
    """One batch an epoch, plain gradient descent: the change is rate times the gradient."""
    est = regressor(solver="sgd", momentum=0, learning_rate=0.1, batch_size=442, diagnostics=True)
    table = pd.DataFrame(est.fit(ROWS, Z).history_)
    for k in (1, 2):
        before = table[f"weight_norm_{k}"].shift()[1:]
        ratio = 0.1 * table[f"gradient_norm_{k}"][1:] / before
        assert_allclose(table[f"update_ratio_{k}"][1:], ratio, rtol=1e-9)


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "gelu"])
def test_idle_units_are_found(activation):
    est = regressor(
        hidden_layer_sizes=(4,), activation=activation, learning_rate=1e-12, diagnostics=True
    )
    est.partial_fit(ROWS, Z)
    assert est.history_["idle_units_1"][-1] == 0
    est.intercepts_[0][:3] = -1000
    est.partial_fit(ROWS, Z)
    assert est.history_["idle_units_1"][-1] == 0.75


def test_diagnostics_are_those_of_the_last_batch_that_counts():
    fixed = {"diagnostics": True, "batch_size": 100, "shuffle": False, "activation": "tanh"}
    weight = np.repeat([1.0, 0.0], [400, len(Z) - 400])  # nothing in the shorter last batch
    weighted = regressor(**fixed).fit(30 * ROWS, Z, sample_weight=weight)
    without = regressor(**fixed).fit(30 * ROWS[:400], Z[:400])
    assert weighted.history_["idle_units_1"] == without.history_["idle_units_1"]
    assert weighted.history_["idle_units_1"] != [0.0] * 6


def test_diagnostics_may_come_and_go():
    est = regressor().partial_fit(ROWS, Z)
    est.set_params(diagnostics=True).partial_fit(ROWS, Z)
    est.set_params(diagnostics=False).partial_fit(ROWS, Z)
    assert np.isnan(est.history_["weight_norm_1"]).tolist() == [True, False, True]
    with pytest.warns(UserWarning, match="diagnostics=True is not used by solver='lbfgs'"):
        regressor(diagnostics=True, solver="lbfgs").fit(ROWS, Z)


# partial_fit that can be trusted.


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"solver": "sgd"},
        {"solver": "adamw"},
        {"solver": "nadam"},
        {"class_weight": {"benign": 2.0}, "max_grad_norm": 0.1},
        {"dropout": 0.3, "loss": "focal", "label_smoothing": 0.1, "weight_init": "he_normal"},
    ],
    ids=str,
)
def test_chunks_in_order_are_an_epoch_of_fit(params):
    params = {"batch_size": 71, "shuffle": False, "max_iter": 1} | params
    whole, parts = classifier(**params).fit(X, Y), classifier(**params)
    for start in range(0, len(X), 71):
        rows = slice(start, start + 71)
        parts.partial_fit(X[rows], Y[rows], classes=np.unique(Y), X_val=X_VAL, y_val=Y_VAL)
        parts = pickle.loads(pickle.dumps(parts))
    for a, b in zip(parts.coefs_, whole.coefs_, strict=True):
        assert_array_equal(a, b)
    assert len(parts.validation_loss_curve_) == 6


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_default_scores_are_scikit_learns(dtype, weighted):
    """Written out for speed, so compared with the estimator's own score at every epoch's end."""
    rng = np.random.default_rng(0)
    X, numbers = rng.normal(size=(60, 3)).astype(dtype), rng.normal(size=(60, 2)).astype(dtype)
    numbers[:, 1] = 1.0  # a constant column scores 0 or 1
    weight = rng.uniform(size=60) if weighted else None
    for est, y in (
        (BackpropRegressor(max_iter=3, random_state=0), numbers),
        (BackpropClassifier(max_iter=3, random_state=0), (numbers[:, 0] > 0).astype(int)),
        (BackpropClassifier(max_iter=3, random_state=0), (X > 0).astype(int)),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            est.fit(X, y, X_val=X, y_val=y, sample_weight_val=weight)
        assert est.validation_scores_[-1] == est.score(X, y, weight)
