"""The searches in lockstep score as scikit-learn's do, split by split, to the bit."""

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    PredefinedSplit,
    RandomizedSearchCV,
    ShuffleSplit,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler

from bpestimator import LockstepGridSearchCV, LockstepRandomizedSearchCV

from data import (
    RATES,
    C,
    R,
    assert_same_results,
    cancer,
    clf,
    diabetes,
    float32,
    fortran,
    iris,
    multilabel,
    reg,
    scaled,
    search_both,
    search_in_lockstep,
    sparse,
    sparse_diabetes,
    two_outputs,
    words,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# name: data, estimator, grid, what else the search takes
ROWS = {
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
    "sparse regression": (sparse_diabetes, reg(), {"learning_rate": RATES[1:4]}, {"cv": 3}),
    "regression": (diabetes, reg(), {"learning_rate": RATES}, {}),
    "regression, two outputs": (two_outputs, reg(), {"learning_rate": RATES}, {"cv": 3}),
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
    "float32": (float32, clf(), {"learning_rate": RATES}, {"cv": 2}),
    "two processes": (iris, clf(), {"learning_rate": RATES}, {"n_jobs": 2, "cv": 3}),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_same_scores_as_grid_search(row):
    data, estimator, grid, options = row
    search_both(estimator, grid, *data(), **options)


@pytest.mark.parametrize(
    ("ours", "theirs", "data"),
    [(clf(), MLPClassifier, iris), (reg(), MLPRegressor, diabetes)],
    ids=["classifier", "regressor"],
)
def test_same_scores_as_over_mlp(ours, theirs, data):
    X, y = data()
    theirs = theirs(hidden_layer_sizes=(12,), max_iter=15, random_state=0)
    grid = {"learning_rate_init": RATES, "alpha": [0, 0.1]}
    ours = search_in_lockstep(LockstepGridSearchCV(ours, grid), X, y)
    assert_same_results(ours, GridSearchCV(theirs, grid).fit(X, y))


def test_same_draws_and_scores_as_randomized_search():
    X, y = iris()
    space = {"learning_rate": loguniform(1e-4, 1), "alpha": loguniform(1e-6, 1)}
    options = {"n_iter": 7, "random_state": 3, "cv": 3}
    kinds = LockstepRandomizedSearchCV, RandomizedSearchCV
    ours, _ = search_both(clf(), space, X, y, kinds=kinds, **options)
    # A generator that the search uses up gives each search its own draws: drawn only once.
    options["random_state"] = np.random.RandomState(3)
    again = search_in_lockstep(LockstepRandomizedSearchCV(clf(), space, **options), X, y)
    assert again.cv_results_["params"] == ours.cv_results_["params"]
