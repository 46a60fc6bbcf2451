"""The searches in lockstep score as scikit-learn's do, split by split, to the bit."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_array_equal
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_iris,
    make_multilabel_classification,
)
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    PredefinedSplit,
    RandomizedSearchCV,
    ShuffleSplit,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)

from bpestimator import (
    AdamW,
    BackpropClassifier,
    BackpropRegressor,
    Cosine,
    Huber,
    LockstepGridSearchCV,
    LockstepRandomizedSearchCV,
    Quantile,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RATES = [1e-4, 1e-3, 1e-2, 0.1, 1.0]


def iris():
    X, y = load_iris(return_X_y=True)
    return (X - X.mean(0)) / X.std(0), y


def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return ((X - X.mean(0)) / X.std(0))[:200], y[:200]


def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return 20 * X[:150], (y[:150] - y.mean()) / y.std()


def two_outputs():
    X, y = diabetes()
    return X, np.stack([y, y**2], axis=1)


def multilabel():
    return make_multilabel_classification(120, 8, n_classes=4, random_state=0)


def words():
    X, y = iris()
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


def sparse():
    X, y = cancer()
    return sp.csr_matrix(np.where(X > 0, X, 0)), y


def fortran():
    pd = pytest.importorskip("pandas")
    X, _ = cancer()
    return pd.DataFrame(np.asfortranarray(X)), np.arange(200) % 15


def float32():
    X, y = iris()
    return X.astype(np.float32), y


def clf(**params):
    fixed = {"hidden_layer_sizes": (12,), "max_iter": 15, "random_state": 0}
    return BackpropClassifier(**{**fixed, **params})


def reg(**params):
    fixed = {"hidden_layer_sizes": (12,), "max_iter": 15, "random_state": 0}
    return BackpropRegressor(**{**fixed, **params})


def scaled(net):
    return make_pipeline(StandardScaler(), net)


C, R = "backpropclassifier__", "backpropregressor__"

T = "transformedtargetregressor__"


def unscaled():
    X, y = diabetes()
    return X, 100 * (y + 2)


def two_unscaled():
    X, y = unscaled()
    return pd.DataFrame(X, columns=list("abcdefghij")), np.stack([y, y**2], axis=1)


WRAPPED = {
    "target": (
        unscaled,
        TransformedTargetRegressor(reg(), transformer=StandardScaler()),
        {"regressor__learning_rate": RATES},
        {"cv": 3},
    ),
    "target of a pipeline": (
        two_unscaled,
        TransformedTargetRegressor(scaled(reg()), transformer=StandardScaler()),
        {
            f"regressor__{R}learning_rate": RATES[1:4],
            "transformer": [StandardScaler(), MinMaxScaler()],
            "regressor__standardscaler__with_mean": [True, False],
        },
        {"cv": 2, "n_jobs": 2},
    ),
    "target in a pipeline": (
        unscaled,
        scaled(TransformedTargetRegressor(reg(), func=np.log1p, inverse_func=np.expm1)),
        {f"{T}regressor__learning_rate": RATES, f"{T}regressor__alpha": [0, 1]},
        {"cv": 2, "return_train_score": True},
    ),
    "pipeline in a pipeline": (
        diabetes,
        make_pipeline(MinMaxScaler(), scaled(reg())),
        {f"pipeline__{R}learning_rate": RATES},
        {"cv": 2},
    ),
}

# name: data, estimator, grid, what else the search takes
ROWS = {
    "rates": (iris, clf(), {"learning_rate": RATES}, {}),
    "initial rates, small batches": (
        iris,
        clf(batch_size=7),
        {"learning_rate_init": RATES},
        {"cv": 3},
    ),
    "folds of unequal size": (iris, clf(), {"learning_rate": RATES}, {"cv": KFold(7)}),
    "shuffled folds": (
        cancer,
        clf(),
        {"alpha": [0.0, 1e-3, 1.0]},
        {"cv": KFold(3, shuffle=True, random_state=1)},
    ),
    "random splits": (
        cancer,
        clf(),
        {"learning_rate": RATES},
        {"cv": ShuffleSplit(3, random_state=0)},
    ),
    "one split": (
        iris,
        clf(),
        {"learning_rate": RATES},
        {"cv": PredefinedSplit(np.where(np.arange(150) % 4, -1, 0))},
    ),
    "splits as a list": (
        iris,
        clf(),
        {"learning_rate": RATES},
        {"cv": list(KFold(3, shuffle=True, random_state=0).split(np.zeros(150)))},
    ),
    "early stopping": (
        cancer,
        clf(early_stopping=True, n_iter_no_change=2, max_iter=60),
        {"learning_rate": RATES},
        {},
    ),
    "stops by tol": (
        iris,
        clf(tol=1e-2, n_iter_no_change=2, max_iter=80),
        {"learning_rate": RATES},
        {},
    ),
    "adaptive": (
        iris,
        clf(learning_rate="adaptive", solver="sgd", tol=0.05, n_iter_no_change=1),
        {"learning_rate_init": RATES},
        {},
    ),
    "invscaling": (
        iris,
        clf(learning_rate="invscaling"),
        {"power_t": [0.1, 0.5, 0.25], "learning_rate_init": [0.01, 0.1]},
        {},
    ),
    "schedules": (
        iris,
        clf(),
        {"learning_rate": ["cosine", Cosine(warmup=2), "coslog4"], "learning_rate_init": RATES},
        {"cv": 2},
    ),
    "dropout": (
        cancer,
        clf(),
        {"dropout": [0.0, 0.1, 0.3, [0.2, 0.5]], "learning_rate": RATES[1:4]},
        {"cv": 3},
    ),
    "gradients clipped": (
        cancer,
        clf(),
        {"max_grad_norm": [None, 0.1, 0.01, 1], "alpha": [0, 1]},
        {"cv": 2},
    ),
    "momenta": (
        iris,
        clf(solver="sgd", learning_rate=0.1),
        {"momentum": [0.0, 0.5, 0.9], "nesterovs_momentum": [True, False]},
        {"cv": 2},
    ),
    "Adam's numbers": (
        iris,
        clf(learning_rate=0.01),
        {"beta_1": [0.5, 0.9], "beta_2": [0.9, 0.999], "epsilon": [1e-8, 0.1]},
        {"cv": 2},
    ),
    "solver objects": (
        iris,
        clf(learning_rate_init=0.01),
        {"solver": [AdamW(weight_decay=w) for w in (0.0, 0.1, 1.0)] + ["nadam", "lbfgs", "sgd"]},
        {"cv": 2},
    ),
    "class weights": (
        cancer,
        clf(class_weight="balanced"),
        {"learning_rate": RATES, "class_weight": [None, "balanced", {0: 3, 1: 1}]},
        {"cv": 2},
    ),
    "label smoothing": (
        iris,
        clf(),
        {"label_smoothing": [0.0, 0.1], "learning_rate": RATES[:3]},
        {"cv": 2},
    ),
    "label smoothing alone": (
        iris,
        clf(),
        {"label_smoothing": [0.3, 0.0, 0.1, 0.2]},
        {"cv": 4},
    ),
    "label smoothing, two classes, early stopping": (
        cancer,
        clf(early_stopping=True, n_iter_no_change=2),
        {"learning_rate": RATES[1:4], "label_smoothing": [0.0, 0.1, 0.2]},
        {"cv": 2},
    ),
    "architectures": (
        iris,
        clf(),
        {
            "hidden_layer_sizes": [(5,), (6, 4), ()],
            "activation": ["relu", "tanh"],
            "learning_rate": RATES[1:4],
        },
        {"cv": 2},
    ),
    "several seeds": (
        iris,
        clf(),
        {"random_state": [0, 1, 2], "learning_rate": RATES[:3]},
        {"cv": 2},
    ),
    "seeds, class weights, early stopping": (
        cancer,
        clf(class_weight="balanced", early_stopping=True, n_iter_no_change=2),
        {"random_state": [0, np.int64(5)], "learning_rate": RATES[1:4]},
        {"cv": 3},
    ),
    "seeds, dropout": (
        diabetes,
        reg(dropout=[0.1, 0.5]),
        {"random_state": [0, 1, 2], "dropout": [0.2, 0.4]},
        {"cv": 3},
    ),
    "one candidate of each kind": (
        cancer,
        clf(),
        {"hidden_layer_sizes": [(), (3,), (6, 2), (20, 10)]},
        {"cv": 4},
    ),
    "lengths of folds in any order": (
        iris,
        clf(),
        {"learning_rate": RATES[:3]},
        {"cv": [(np.arange(k, k + n), np.arange(150)) for k, n in enumerate([90, 99, 90, 7, 99])]},
    ),
    "rows in their own order, in Fortran's": (
        fortran,
        clf(hidden_layer_sizes=(20,), shuffle=False, batch_size=32),
        {"learning_rate": RATES},
        {"cv": KFold(4), "scoring": "neg_log_loss"},
    ),
    "batch sizes, epochs": (
        iris,
        clf(),
        {"batch_size": [10, 50], "max_iter": [3, 9], "learning_rate": RATES[1:4]},
        {"cv": 2},
    ),
    "binary, needs probabilities": (
        cancer,
        clf(),
        {"learning_rate": RATES},
        {"scoring": "roc_auc"},
    ),
    "three classes, needs probabilities": (
        iris,
        clf(),
        {"learning_rate": RATES},
        {"scoring": "neg_log_loss"},
    ),
    "several metrics": (
        cancer,
        clf(),
        {"learning_rate": RATES},
        {"scoring": ["f1", "roc_auc"], "refit": "f1", "return_train_score": True},
    ),
    "a scorer of one's own": (
        iris,
        clf(),
        {"learning_rate": RATES},
        {"scoring": lambda est, X, y: float(est.predict_proba(X)[np.arange(len(y)), y].mean())},
    ),
    "refit by a rule": (
        iris,
        clf(),
        {"learning_rate": RATES},
        {"refit": lambda results: int(np.argmin(results["mean_test_score"]))},
    ),
    "no refit": (iris, clf(), {"learning_rate": RATES}, {"refit": False}),
    "multilabel": (multilabel, clf(), {"learning_rate": RATES}, {"cv": 3}),
    "labels are words": (words, clf(), {"learning_rate": RATES}, {}),
    "sparse": (sparse, clf(), {"learning_rate": RATES}, {"cv": 3}),
    "regression": (diabetes, reg(), {"learning_rate": RATES}, {}),
    "regression, two outputs": (two_outputs, reg(), {"learning_rate": RATES}, {"cv": 3}),
    "losses": (
        diabetes,
        reg(),
        {"loss": ["squared_error", Huber(0.5), "absolute_error"], "learning_rate": RATES[:3]},
        {"cv": 2, "scoring": "neg_mean_absolute_error"},
    ),
    "quantile": (
        diabetes,
        reg(loss=Quantile(0.9)),
        {"learning_rate": RATES},
        {"scoring": "neg_mean_absolute_error"},
    ),
    "early stopping of a regression": (
        diabetes,
        reg(early_stopping=True, n_iter_no_change=3),
        {"learning_rate": RATES},
        {},
    ),
    "pipeline": (iris, scaled(clf()), {f"{C}learning_rate": RATES}, {}),
    "pipeline of regression": (diabetes, scaled(reg()), {f"{R}alpha": [0, 1, 9]}, {"cv": 2}),
    "pipeline, steps searched": (
        iris,
        make_pipeline(PolynomialFeatures(), StandardScaler(), clf()),
        {
            "polynomialfeatures__degree": [1, 2],
            "standardscaler": [MinMaxScaler(), "passthrough"],
            f"{C}learning_rate": RATES[:3],
        },
        {"cv": 2},
    ),
    **{f"wrapped: {name}": row for name, row in WRAPPED.items()},
    "grids in a list": (
        iris,
        clf(),
        [{"learning_rate": RATES}, {"solver": ["lbfgs"], "alpha": [0.1, 1]}],
        {"cv": 2},
    ),
    "diverging": (iris, clf(solver="sgd"), {"learning_rate": [0.1, 1e3, 1e9, 1e200]}, {"cv": 2}),
    "random state is None for one": (
        iris,
        clf(solver="lbfgs", max_iter=5),
        {"alpha": [0.1, 1]},
        {"cv": 2},
    ),
    "float32": (float32, clf(), {"learning_rate": RATES}, {"cv": 2}),
    "two processes": (iris, clf(), {"learning_rate": RATES}, {"n_jobs": 2, "cv": 3}),
}


def is_about_scores(name):
    return "time" not in name


def assert_same_results(ours, theirs):
    assert ours.cv_results_.keys() == theirs.cv_results_.keys()
    for name in filter(is_about_scores, theirs.cv_results_):
        if name == "params":
            assert repr(ours.cv_results_[name]) == repr(theirs.cv_results_[name])
        elif not name.startswith("param_"):
            assert_array_equal(ours.cv_results_[name], theirs.cv_results_[name], name)
    for name in ("best_index_", "best_score_", "n_splits_", "multimetric_"):
        assert getattr(ours, name, None) == getattr(theirs, name, None)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_same_scores_as_grid_search(row):
    data, estimator, grid, options = row
    X, y = data()
    ours = LockstepGridSearchCV(estimator, grid, **options).fit(X, y)
    theirs = GridSearchCV(estimator, grid, **options).fit(X, y)
    assert_same_results(ours, theirs)
    assert ours.estimator is estimator
    if theirs.refit:
        assert type(ours.best_estimator_) is type(theirs.best_estimator_)
        assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize(
    ("ours", "theirs", "data"),
    [(clf(), MLPClassifier, iris), (reg(), MLPRegressor, diabetes)],
    ids=["classifier", "regressor"],
)
def test_same_scores_as_over_mlp(ours, theirs, data):
    X, y = data()
    theirs = theirs(hidden_layer_sizes=(12,), max_iter=15, random_state=0)
    grid = {"learning_rate_init": RATES, "alpha": [0, 0.1]}
    assert_same_results(
        LockstepGridSearchCV(ours, grid).fit(X, y), GridSearchCV(theirs, grid).fit(X, y)
    )


def test_same_draws_and_scores_as_randomized_search():
    X, y = iris()
    space = {"learning_rate": loguniform(1e-4, 1), "alpha": loguniform(1e-6, 1)}
    options = {"n_iter": 7, "random_state": 3, "cv": 3}
    ours = LockstepRandomizedSearchCV(clf(), space, **options).fit(X, y)
    assert_same_results(ours, RandomizedSearchCV(clf(), space, **options).fit(X, y))
    # A generator that the search uses up gives each search its own draws: drawn only once.
    options["random_state"] = np.random.RandomState(3)
    again = LockstepRandomizedSearchCV(clf(), space, **options).fit(X, y)
    assert again.cv_results_["params"] == ours.cv_results_["params"]


def test_groups_and_weights_go_where_they_do_in_scikit_learn():
    X, y = iris()
    rng = np.random.default_rng(0)
    groups, weight = rng.integers(0, 6, len(y)), rng.uniform(size=len(y))
    params = {"groups": groups, "sample_weight": weight}
    pair = [
        kind(clf(), {"learning_rate": RATES}, cv=GroupKFold(3)).fit(X, y, **params)
        for kind in (LockstepGridSearchCV, GridSearchCV)
    ]
    assert_same_results(*pair)
    unweighted = LockstepGridSearchCV(clf(), {"learning_rate": RATES}, cv=GroupKFold(3))
    unweighted.fit(X, y, groups=groups)
    means = [search.cv_results_["mean_test_score"] for search in (unweighted, pair[0])]
    assert not np.array_equal(*means)


@pytest.mark.parametrize(
    "weight", [np.arange(150.0), np.arange(150) % 3, np.ones(150)], ids=["all", "some", "one"]
)
def test_weights_of_some_rows_only(weight):
    X, y = iris()
    pair = [
        kind(
            clf(batch_size=4), {"learning_rate": RATES}, cv=KFold(3, shuffle=True, random_state=0)
        ).fit(X, y, sample_weight=weight)
        for kind in (LockstepGridSearchCV, GridSearchCV)
    ]
    assert_same_results(*pair)


def test_weights_for_the_last_step_of_a_pipeline():
    X, y = iris()
    weight = np.random.default_rng(0).uniform(size=len(y))
    grid = {f"{C}learning_rate": RATES}
    pair = [
        kind(scaled(clf()), grid, cv=3).fit(X, y, **{f"{C}sample_weight": weight})
        for kind in (LockstepGridSearchCV, GridSearchCV)
    ]
    assert_same_results(*pair)


@pytest.mark.parametrize(("data", "estimator", "grid", "options"), WRAPPED.values(), ids=WRAPPED)
def test_wrapped_networks_train_in_lockstep(data, estimator, grid, options, capsys):
    X, y = data()
    search = LockstepGridSearchCV(estimator, grid, **options, verbose=1).fit(X, y)
    n_fits = len(search.cv_results_["params"]) * search.n_splits_
    assert f"Training {n_fits} of {n_fits} fits in lockstep" in capsys.readouterr().out
    best = search.best_estimator_
    assert getattr(best, "n_features_in_", None) == X.shape[1]
    assert_array_equal(getattr(best, "feature_names_in_", []), getattr(X, "columns", []))


@pytest.mark.parametrize(
    ("wrap", "prefix"),
    [
        (TransformedTargetRegressor, ""),
        (lambda net: TransformedTargetRegressor(scaled(net)), R),
        (lambda net: scaled(TransformedTargetRegressor(net)), T),
    ],
)
def test_weights_for_a_wrapped_network(wrap, prefix):
    X, y = diabetes()
    weight = np.random.default_rng(0).uniform(size=len(y))
    net = wrap(reg())
    (name,) = [name for name in net.get_params() if name.endswith("learning_rate_init")]
    pair = [
        kind(net, {name: RATES}, cv=3).fit(X, y, **{f"{prefix}sample_weight": weight})
        for kind in (LockstepGridSearchCV, GridSearchCV)
    ]
    assert_same_results(*pair)


@pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.FitFailedWarning", "ignore:One or more of the test scores"
)
def test_metadata_routing_decides_for_each_candidate_who_gets_weights():
    X, y = diabetes()
    weight = np.random.default_rng(0).uniform(size=len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        nets = [
            reg(alpha=alpha)
            .set_fit_request(sample_weight=asked)
            .set_score_request(sample_weight=False)
            for asked in (True, False)
            for alpha in (0, 1, 2)
        ]
        wrapped = TransformedTargetRegressor(nets[0])
        if hasattr(wrapped, "set_score_request"):
            wrapped.set_score_request(sample_weight=False)
        pair = [
            kind(wrapped, {"regressor": nets}, cv=2, refit=False).fit(X, y, sample_weight=weight)
            for kind in (LockstepGridSearchCV, GridSearchCV)
        ]
    assert_same_results(*pair)


def test_with_metadata_routing():
    X, y = iris()
    rng = np.random.default_rng(0)
    groups, weight = rng.integers(0, 6, len(y)), rng.uniform(size=len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        net = clf().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pair = [
            kind(net, {"learning_rate": RATES}, cv=GroupKFold(3)).fit(
                X, y, groups=groups, sample_weight=weight
            )
            for kind in (LockstepGridSearchCV, GridSearchCV)
        ]
    assert_same_results(*pair)


def test_frames_and_lists():
    pd = pytest.importorskip("pandas")
    X, y = iris()
    frame, series = pd.DataFrame(X, columns=list("abcd")), pd.Series(y, index=range(7, 157))
    grid = {"learning_rate": RATES}
    ours = LockstepGridSearchCV(clf(), grid).fit(frame, series)
    assert_same_results(ours, GridSearchCV(clf(), grid).fit(X.tolist(), y.tolist()))
    assert_same_results(ours, LockstepGridSearchCV(clf(), grid).fit(X.tolist(), y.tolist()))
    assert list(ours.feature_names_in_) == list("abcd")


# Failing


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("name", ["learning_rate", "backpropclassifier__learning_rat"])
def test_a_parameter_that_there_is_not(name, n_jobs):
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), BackpropClassifier(max_iter=2))
    grid = {name: [0.01, 0.1]}
    with pytest.raises(ValueError, match="Invalid parameter") as theirs:
        GridSearchCV(model, grid).fit(X, y)
    with pytest.raises(ValueError, match="Invalid parameter") as ours:
        LockstepGridSearchCV(model, grid, n_jobs=n_jobs).fit(X, y)
    assert str(ours.value) == str(theirs.value)
    meant = f"Did you mean 'backpropclassifier__learning_rate', not {name!r}?"
    assert ours.value.__notes__ == [meant]


def test_candidates_that_fail_score_as_they_do_in_scikit_learn():
    X, y = iris()
    grid = {"learning_rate": [0.01, -1.0, 0.1, 0.3], "alpha": [0.1, "much"]}
    results = []
    for kind in (LockstepGridSearchCV, GridSearchCV):
        with pytest.warns(FitFailedWarning, match="The 'alpha' parameter"):
            results.append(kind(clf(), grid, error_score=-7.0, cv=2).fit(X, y))
    assert_same_results(*results)
    assert (results[0].cv_results_["mean_test_score"] == -7.0).sum() == 5
    with pytest.raises(ValueError, match="parameter of BackpropClassifier must be"):
        LockstepGridSearchCV(clf(), grid, error_score="raise").fit(X, y)


def test_a_fit_without_finite_weights_fails_alone():
    X, y = iris()
    grid = {"learning_rate": [0.01, 0.1, 0.2, 1e308]}
    results = []
    for kind in (LockstepGridSearchCV, GridSearchCV):
        search = kind(clf(solver="sgd"), grid, cv=2, error_score=0.0)
        with pytest.warns(FitFailedWarning, match="non-finite"):
            results.append(search.fit(1e5 * X, y))
    assert_same_results(*results)


def test_whatever_fails_the_search_is_as_before():
    X, y = iris()
    net, cv = clf(), KFold(3)
    search = LockstepGridSearchCV(net, {"learning_rate": [-1.0]}, cv=cv, error_score="raise")
    with pytest.raises(ValueError, match="learning_rate"):
        search.fit(X, y)
    assert search.estimator is net
    assert search.cv is cv
    assert search.set_params(param_grid={"learning_rate": RATES}).fit(X, y).best_score_ >= 0


@pytest.mark.parametrize(
    "estimator",
    [LogisticRegression(), MLPClassifier(), make_pipeline(StandardScaler(), LogisticRegression())],
    ids=["linear", "mlp", "pipeline"],
)
def test_an_estimator_of_another_make_is_refused(estimator):
    with pytest.raises(TypeError, match="takes a BackpropClassifier or a BackpropRegressor, which"):
        LockstepGridSearchCV(estimator, {"alpha": [1]}).fit(*iris())


def test_a_class_is_not_an_estimator():
    with pytest.raises(TypeError, match=r"not a class: write BackpropClassifier\(\)"):
        LockstepGridSearchCV(BackpropClassifier, {"alpha": [1]}).fit(*iris())


def test_each_fit_warns_as_it_would_alone():
    X, y = iris()
    counts = []
    for kind in (LockstepGridSearchCV, GridSearchCV):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            kind(clf(), {"learning_rate": RATES}, cv=2).fit(X, y)
        counts.append(sum(issubclass(one.category, ConvergenceWarning) for one in caught))
    assert counts[0] == counts[1] > 5


# The way there


@pytest.fixture
def fits(monkeypatch):
    """Counts the fits that go the ordinary way."""
    count = []
    fit = BackpropClassifier.fit

    def counted(self, *args, **kwargs):
        count.append(self)
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(BackpropClassifier, "fit", counted)
    return count


def test_only_the_last_fit_is_ordinary(fits):
    X, y = iris()
    LockstepGridSearchCV(clf(), {"learning_rate": RATES}).fit(X, y)
    assert len(fits) == 1


def test_single_candidates_and_seeds_train_ahead_too(fits):
    X, y = iris()
    for grid in ({"hidden_layer_sizes": [(4,), (5,)]}, {"random_state": [0, 1]}):
        LockstepGridSearchCV(clf(), grid, cv=3, refit=False).fit(X, y)
    lengths = [(np.arange(n), np.arange(150)) for n in (90, 70, 90, 90, 71)]
    LockstepGridSearchCV(clf(), {"alpha": [1]}, cv=lengths, refit=False).fit(X, y)
    assert fits == []  # folds of other lengths, too, as they have as many batches


def counting(base=StandardScaler):
    class Counting(base):
        fitted = 0

        def fit(self, X, y=None, sample_weight=None):
            Counting.fitted += 1
            return super().fit(X, y)

    return Counting


def test_steps_before_the_last_are_fitted_once_a_fold():
    X, y = iris()
    step = counting()
    grid = {f"{C}learning_rate": RATES}
    search = LockstepGridSearchCV(make_pipeline(step(), clf()), grid, cv=4, refit=False)
    search.fit(X, y)
    assert step.fitted == 4


@pytest.mark.parametrize(
    ("base", "cv", "times"),
    [(OneHotEncoder, KFold(5), 5 + 1), (StandardScaler, TimeSeriesSplit(4), 4)],
    ids=["sparse rows", "lengths that differ"],
)
def test_steps_of_what_goes_alone_are_hardly_fitted_in_vain(base, cv, times):
    X, y = iris()[0], np.arange(150) % 3
    step = counting(base)
    model = make_pipeline(step(), clf(max_iter=1))
    if base is OneHotEncoder:
        X = np.round(X)
        model.set_params(counting__handle_unknown="ignore")
    grid = {f"{C}hidden_layer_sizes": [(3,)]}
    LockstepGridSearchCV(model, grid, cv=cv, refit=False, error_score="raise").fit(X, y)
    assert step.fitted == times


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"solver": "lbfgs"}, "lbfgs"),
        ({"random_state": None}, "random_state=None is not an int"),
        ({"max_time": 100.0}, "max_time"),
        ({"hidden_layer_sizes": (700, 700)}, "Of these, after all, 6 alone: networks too large"),
        ({"learning_rate_init": "auto"}, "found in each fit"),
    ],
)
def test_what_goes_alone_says_why(params, reason, fits, capsys):
    X, y = iris()
    net = clf(max_iter=2).set_params(**params)
    search = LockstepGridSearchCV(net, {"alpha": [0.1, 0.2, 0.3]}, cv=2, verbose=1, refit=False)
    search.fit(X, y)
    assert len(fits) == 6
    assert reason in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_what_goes_alone_after_all_says_why(capsys):
    X, y = iris()
    X = X.copy()
    X[0] = np.nan
    grid = [{"alpha": [0.1, 0.2, 0.3]}, {"hidden_layer_sizes": [(700, 700)]}]
    net = clf(max_iter=2)
    LockstepGridSearchCV(net, grid, cv=KFold(5), verbose=1, error_score=0.0, refit=False).fit(X, y)
    out = capsys.readouterr().out
    assert "Of these, after all, 12 alone: its fit fails: Input X contains NaN.;" in out
    assert "; 5 alone: networks too large to gain" in out


def test_verbose_counts_groups_and_model_epochs(capsys):
    X, y = iris()
    grid = [{"learning_rate": RATES}, {"solver": ["lbfgs"]}]
    LockstepGridSearchCV(clf(), grid, cv=2, verbose=1).fit(X, y)
    out = capsys.readouterr().out
    assert "Training 10 of 12 fits in lockstep, of one kind of network; 2 alone: solver=" in out
    LockstepGridSearchCV(clf(), grid, cv=2).fit(X, y)
    assert capsys.readouterr().out == ""


def test_fit_times_are_shares_of_the_group():
    X, y = iris()
    times = LockstepGridSearchCV(clf(), {"learning_rate": RATES}).fit(X, y).cv_results_
    assert (times["mean_fit_time"] > 1e-4).all()


# Life as an object


def test_pickles_clones_and_nests():
    X, y = iris()
    search = LockstepGridSearchCV(clf(), {"learning_rate": RATES[1:4]}, cv=3)
    unfitted = clone(search)
    search.fit(X, y)
    for other in (pickle.loads(pickle.dumps(search)), copy.deepcopy(search)):
        assert_array_equal(other.predict_proba(X), search.predict_proba(X))
    assert_same_results(clone(search).fit(X, y), search)
    theirs = GridSearchCV(clf(), {"learning_rate": RATES[1:4]}, cv=3)
    assert_array_equal(cross_val_score(unfitted, X, y), cross_val_score(theirs, X, y))
    assert "LockstepGridSearchCV" in repr(search)
    assert search.scorer_(search.best_estimator_, X, y) == search.score(X, y)


def test_the_constructor_is_scikit_learns():
    for ours, theirs in (
        (LockstepGridSearchCV, GridSearchCV),
        (LockstepRandomizedSearchCV, RandomizedSearchCV),
    ):
        assert ours._get_param_names() == theirs._get_param_names()


def test_the_best_goes_on_learning():
    X, y = iris()
    search = LockstepGridSearchCV(clf(), {"learning_rate": RATES}).fit(X, y)
    alone = clf(**search.best_params_).fit(X, y)
    a, b = search.best_estimator_.partial_fit(X, y), alone.partial_fit(X, y)
    assert_array_equal(a.predict_proba(X), b.predict_proba(X))


def test_callbacks_hear_of_every_fit(capsys):
    pytest.importorskip("sklearn.callback")
    from sklearn.callback import ProgressBar

    pytest.importorskip("rich")
    X, y = iris()
    search = LockstepGridSearchCV(clf(), {"learning_rate": RATES[1:3]}, cv=2)
    search.set_params(verbose=1).set_callbacks(ProgressBar()).fit(X, y)
    assert "No fits train in lockstep: callbacks" in capsys.readouterr().out
    assert_same_results(search, GridSearchCV(clf(), {"learning_rate": RATES[1:3]}, cv=2).fit(X, y))
