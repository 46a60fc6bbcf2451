"""Odd searches, which all end as scikit-learn's do."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from joblib import parallel_backend
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from bpestimator import (
    SGD,
    Adam,
    AdamW,
    BackpropClassifier,
    CustomActivation,
    InvScaling,
    LockstepGridSearchCV,
)
from bpestimator.training import Schedule

import data
from data import (
    FitCounts,
    assert_same_results,
    count_lockstep_fits,
    iris,
    search_both,
    search_in_lockstep,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ALPHAS = {"alpha": [0, 0.1, 5.0]}


def shuffled_iris():
    X, y = iris()
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


def clf(**params):
    return data.clf(**{"hidden_layer_sizes": (8,), "max_iter": 10, **params})


class Mirrored(BackpropClassifier):
    def fit(self, X, y):
        return super().fit(-X, y)


class NeedsGroups:
    def get_n_splits(self, X=None, y=None, groups=None):
        return 2

    def split(self, X, y, groups):
        half = np.arange(len(X)) % 2 == 0
        return [(np.flatnonzero(half), np.flatnonzero(~half)), (~half, half)]


def cloning(estimator, X, y):
    clone(estimator)
    return -float(((estimator.predict_proba(X)[:, 0] - (y == 0)) ** 2).mean())


def depth(estimator, X, y):
    assert isinstance(estimator[-1], BackpropClassifier)
    return float(estimator[-1].n_iter_)


def penalty(estimator, X, y):
    return -estimator.alpha * float(estimator.coefs_[0].sum())


def columns(n):
    return [("a", StandardScaler(), list(range(n)))]


def wide():
    X, y = shuffled_iris()
    return np.tile(X, 15) * np.random.default_rng(1).normal(size=60), y


def sparse():
    X, y = shuffled_iris()
    return sp.csr_matrix(np.maximum(X, 0)), y


ODD = {
    "a step whose printed form is cut": (
        wide,
        Pipeline([("p", ColumnTransformer(columns(60))), ("c", clf())]),
        {"p__transformers": [columns(60), columns(35)], "c__alpha": [0, 1e-3, 1e-2]},
        {},
    ),
    "a subclass with a fit of its own": (
        shuffled_iris,
        Mirrored(max_iter=9, random_state=0),
        ALPHAS,
        {},
        {"the fit may do anything": 9},
    ),
    "a scoring function that looks inside": (
        shuffled_iris,
        make_pipeline(StandardScaler(), clf(n_iter_no_change=1)),
        {"backpropclassifier__tol": [1e-4, 0.05], "backpropclassifier__alpha": [0, 0.1, 5.0]},
        {"scoring": depth},
    ),
    "a scoring function that clones": (
        shuffled_iris,
        clf(),
        {"learning_rate_init": np.logspace(-3, -0.5, 6)},
        {"scoring": cloning},
    ),
    "functions among several": (
        shuffled_iris,
        clf(),
        ALPHAS,
        {"scoring": {"own": penalty, "accuracy": "accuracy"}, "refit": "own"},
    ),
    "stopping by a function that looks inside": (
        shuffled_iris,
        clf(early_stopping=True, scoring=penalty),
        ALPHAS,
        {},
        {"the function sees one estimator at a time": 9},
    ),
    "numbers of NumPy in objects": (
        shuffled_iris,
        clf(),
        {"solver": [AdamW(weight_decay=w) for w in (*np.logspace(-4, -1, 3), 0)]},
        {},
    ),
    "single numbers of NumPy in objects": (
        shuffled_iris,
        clf(),
        {"solver": [Adam(np.float32(beta)) for beta in (0.5, 0.9, 0.99)]},
        {"scoring": "neg_log_loss"},
    ),
    "whole numbers in objects": (
        shuffled_iris,
        clf(),
        {"solver": [SGD(0), SGD(0.5), SGD(0.9)]},
        {},
    ),
    "powers of NumPy": (
        shuffled_iris,
        clf(),
        {"learning_rate": [InvScaling(np.float32(power)) for power in (0.1, 0.3, 0.5)]},
        {"scoring": "neg_log_loss"},
    ),
    "powers": (
        shuffled_iris,
        clf(),
        {"learning_rate": [InvScaling(1), InvScaling(0.5), InvScaling(2)]},
        {},
    ),
    "nadam's betas": (
        shuffled_iris,
        clf(solver="nadam"),
        {"beta_1": np.linspace(0.1, 0.95, 4), "beta_2": np.linspace(0.5, 0.999, 4)},
        {"scoring": "neg_log_loss"},
    ),
    "dropout of sparse features": (
        sparse,
        clf(),
        {"dropout": [[0.1, 0.2], [0.3, 0.2], [0.2, 0.2]]},
        {},
        {"the matrix, whose entries drop, is one for all": 9},
    ),
    "groups by position": (shuffled_iris, clf(), ALPHAS, {"cv": NeedsGroups()}),
    "steps that share their random numbers' seed": (
        wide,
        make_pipeline(PCA(2, svd_solver="randomized", random_state=0), clf()),
        {"pca__n_components": [2, 3], "backpropclassifier__alpha": [0, 0.1, 1]},
        {},
    ),
}


@pytest.mark.parametrize("row", ODD.values(), ids=ODD)
def test_same_scores(row):
    data, estimator, grid, options, *alone = row
    alone = sum(count for reasons in alone for count in reasons.values())
    ours, theirs = search_both(estimator, grid, *data(), alone=alone, **{"cv": 3, **options})
    assert repr(ours.scorer_) == repr(theirs.scorer_)


def unhappy(estimator, X, y):
    raise RuntimeError("no score today")


def broken(z):
    raise RuntimeError("no activation today")


@pytest.mark.parametrize(
    "net",
    [
        clf(early_stopping=True, scoring=unhappy),
        clf(activation=CustomActivation(broken, broken)),
    ],
    ids=["score", "activation"],
)
def test_errors_in_training_are_those_of_each_fit(net):
    for kind in (LockstepGridSearchCV, GridSearchCV):
        with (
            count_lockstep_fits() as counts,
            pytest.raises(ValueError, match=r"All the 9 fits failed[\s\S]*today"),
        ):
            kind(net, ALPHAS, cv=3).fit(*shuffled_iris())
        assert counts == FitCounts(together=0, alone=9)


@pytest.mark.parametrize("cv", [1, "foo", []])
def test_a_bad_cv_is_refused_in_scikit_learns_words(cv):
    messages = []
    for kind in (LockstepGridSearchCV, GridSearchCV):
        search = kind(clf(), ALPHAS, cv=cv)
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            search.fit(*shuffled_iris())
        messages.append(str(caught.value).replace("LockstepGrid", "Grid"))
        assert not [name for name in vars(search) if name.startswith("_") and "valid" not in name
                    and not name.startswith("_checked")]  # fmt: skip
    assert messages[0] == messages[1]


@pytest.mark.parametrize("backend", ["threading", "multiprocessing", "loky"])
def test_other_backends(backend):
    grid = {"learning_rate": [0.01, 0.1, 0.3], "batch_size": [20, 500]}
    filters = list(warnings.filters)
    with parallel_backend(backend, n_jobs=2), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = LockstepGridSearchCV(clf(), grid, cv=3, n_jobs=2).fit(*shuffled_iris())
    assert warnings.filters == filters
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = GridSearchCV(clf(), grid, cv=3).fit(*shuffled_iris())
    assert_array_equal(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])


class Every(Schedule):
    """Not a dataclass: it prints and compares without its number."""

    name = "every"

    def __init__(self, n):
        self.n = n

    def rate(self, initial, clock):
        return initial * 0.5 ** (clock.epoch // self.n)


def test_objects_that_do_not_tell_all_go_alone(capsys):
    grid = {"learning_rate": [Every(n) for n in (1, 2, 3, 5)], "learning_rate_init": [0.05]}
    options = {"cv": 3, "scoring": "neg_log_loss", "verbose": 1}
    ours, _ = search_both(clf(), grid, *shuffled_iris(), alone=12, **options)
    assert len(set(ours.cv_results_["mean_test_score"])) == 4
    assert "an object holds more than its dataclass declares" in capsys.readouterr().out


class Plain:
    """Printed with its address, as objects are unless their class says otherwise."""


class Kept(StandardScaler):
    def __init__(self, note=None):
        super().__init__()
        self.note = note


def test_objects_printed_with_their_address_are_fitted_once():
    pipe = make_pipeline(Kept(), clf())
    search = LockstepGridSearchCV(pipe, {"kept__note": [Plain(), Plain()]}, cv=3)
    search_in_lockstep(search, *shuffled_iris())


def test_a_refit_that_fails_leaves_the_users_estimator():
    X, y = shuffled_iris()
    X = np.vstack([X, np.full(4, np.nan)])
    y = np.append(y, 0)
    folds = [(np.arange(75), np.arange(75, 150)), (np.arange(75, 150), np.arange(75))]
    search = LockstepGridSearchCV(clf(), ALPHAS, cv=folds)
    with pytest.raises(ValueError, match="NaN"):
        search.fit(X, y)
    assert type(search.best_estimator_) is BackpropClassifier


def test_without_y():
    for kind in (LockstepGridSearchCV, GridSearchCV):
        with pytest.raises(ValueError, match="missing 1 required positional argument: 'y'"):
            kind(clf(), ALPHAS).fit(shuffled_iris()[0])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning")
def test_numbers_of_another_type_are_another_setting():
    grid = {"pca__n_components": [1, 1.0], "backpropclassifier__alpha": [0, 0.1, 5.0]}
    pair = []
    for kind in (LockstepGridSearchCV, GridSearchCV):
        search = kind(make_pipeline(PCA(), clf()), grid, cv=3)
        with count_lockstep_fits() as counts:
            pair.append((search.fit(*shuffled_iris()), counts))
    (ours, counts), (theirs, _) = pair
    assert_same_results(ours, theirs)
    # n_components=1.0 fails in PCA, before any network.
    assert counts == FitCounts(together=9, alone=1)
    assert np.isnan(theirs.cv_results_["mean_test_score"]).sum() == 3


def test_rows_counted_from_the_end():
    X, y = shuffled_iris()
    rows = np.arange(150)
    cv = [(np.delete(rows, np.s_[k::5]) - 150, rows[k::5]) for k in range(5)]
    search_both(clf(), {"alpha": [0, 0.1, 1]}, X, y, cv=cv)


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_fold_without_rows_costs_no_other():
    X, y = shuffled_iris()
    rows = np.arange(150)
    cv = [(rows[50:], rows[:50]), (rows[:0], rows[100:])]
    grid = {"alpha": [0, 0.1, 1]}
    for search in (GridSearchCV, LockstepGridSearchCV):
        with pytest.warns(FitFailedWarning, match="3 fits failed"):
            found = search(clf(), grid, cv=cv, refit=False).fit(X, y).cv_results_
        assert np.isnan(found["split1_test_score"]).all()
        assert np.isfinite(found["split0_test_score"]).all()
