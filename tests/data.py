"""What several tests share: data, networks, and searches of both kinds that are compared."""

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_iris,
    make_multilabel_classification,
)
from sklearn.model_selection import GridSearchCV, check_cv
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bpestimator import BackpropClassifier, BackpropRegressor, LockstepGridSearchCV
from bpestimator.training import train_in_lockstep

RATES = [1e-4, 1e-3, 1e-2, 0.1, 1.0]
# Parameters of the network in a Pipeline, and of what is in a TransformedTargetRegressor there.
C, R, T = "backpropclassifier__", "backpropregressor__", "transformedtargetregressor__"


# Rows


def iris():
    X, y = load_iris(return_X_y=True)
    return (X - X.mean(0)) / X.std(0), y


def words():
    X, y = iris()
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


def float32():
    X, y = iris()
    return X.astype(np.float32), y


def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return ((X - X.mean(0)) / X.std(0))[:200], y[:200]


def sparse():
    X, y = cancer()
    return sp.csr_matrix(np.where(X > 0, X, 0)), y


def fortran():
    X, _ = cancer()
    return pd.DataFrame(np.asfortranarray(X)), np.arange(200) % 15


def all_of_diabetes():
    X, y = load_diabetes(return_X_y=True)
    return 20 * X, (y - y.mean()) / y.std()


def diabetes():
    X, y = all_of_diabetes()
    return X[:150], y[:150]


def two_outputs():
    X, y = diabetes()
    return X, np.stack([y, y**2], axis=1)


def sparse_diabetes():
    X, y = diabetes()
    return sp.csr_matrix(np.where(X > 0, X, 0)), y


def unscaled():
    X, y = diabetes()
    return X, 100 * (y + 2)


def two_unscaled():
    X, y = unscaled()
    return pd.DataFrame(X, columns=list("abcdefghij")), np.stack([y, y**2], axis=1)


def multilabel():
    return make_multilabel_classification(120, 8, n_classes=4, random_state=0)


# Networks


def clf(**params):
    fixed = {"hidden_layer_sizes": (12,), "max_iter": 15, "random_state": 0}
    return BackpropClassifier(**{**fixed, **params})


def reg(**params):
    fixed = {"hidden_layer_sizes": (12,), "max_iter": 15, "random_state": 0}
    return BackpropRegressor(**{**fixed, **params})


def scaled(net):
    return make_pipeline(StandardScaler(), net)


def weights(est):
    """All weights and biases, one after the other."""
    return np.concatenate([np.ravel(part) for part in [*est.coefs_, *est.intercepts_]])


# Searches


def assert_candidates_score_as_alone(search, X, y, alike=0):
    """Each candidate scores as the estimator with its parameters does, and so many as others."""
    cv = check_cv(search.cv, y, classifier=is_classifier(search.estimator))
    for number, params in enumerate(search.cv_results_["params"]):
        for split, (train, test) in enumerate(cv.split(X, y)):
            alone = clone(search.estimator).set_params(**params).fit(X[train], y[train])
            score = search.scorer_(alone, X[test], y[test])
            assert search.cv_results_[f"split{split}_test_score"][number] == score
    means = search.cv_results_["mean_test_score"]
    assert np.unique(means).size == means.size - alike


@dataclass
class FitCounts:
    """How many networks trained together, in lockstep, and how many by a fit of their own."""

    together: int = 0
    alone: int = 0


@contextmanager
def count_lockstep_fits():
    """Count where networks train, in this process, whoever has them trained."""
    counts = FitCounts()

    def trained_together(*args, **kwargs):
        for ended in train_in_lockstep(*args, **kwargs):
            counts.together += 1
            yield ended

    def counted(fit):
        @wraps(fit)
        def fit_alone(*args, **kwargs):
            counts.alone += 1
            return fit(*args, **kwargs)

        return fit_alone

    with pytest.MonkeyPatch.context() as patch:
        replace_everywhere(patch, train_in_lockstep, trained_together)
        for kind in (BackpropClassifier, BackpropRegressor):
            patch.setattr(kind, "fit", counted(kind.fit))
        yield counts


def replace_everywhere(patch, function, by):
    """Put another function in its place wherever the package has imported it."""
    for module in [sys.modules[name] for name in sys.modules if is_ours(name)]:
        for name, value in list(vars(module).items()):
            if value is function:
                patch.setattr(module, name, by)


def is_ours(module_name):
    return module_name.partition(".")[0] == "bpestimator"


def search_in_lockstep(search, X, y, alone=0, **fit_params):
    """Fit a search of which all fits train in lockstep, except so many ``alone`` and the refit."""
    # Where random_state is None: the same numbers for whoever searches.
    np.random.seed(0)  # noqa: NPY002
    with count_lockstep_fits() as counts:
        search.fit(X, y, **fit_params)
    n_fits = len(search.cv_results_["params"]) * search.n_splits_
    if search.n_jobs not in (None, 1):  # other processes do not count here
        with count_lockstep_fits() as counts:
            clone(search).set_params(n_jobs=1).fit(X, y, **fit_params)
    assert counts == FitCounts(n_fits - alone, alone + (search.refit is not False))
    return search


def search_both(
    estimator,
    grid,
    X,
    y,
    *,
    alone=0,
    kinds=(LockstepGridSearchCV, GridSearchCV),
    fit_params=None,
    **options,
):
    """Search in lockstep and as scikit-learn does, with the same results; both searches."""
    ours, theirs = (kind(estimator, grid, **options) for kind in kinds)
    search_in_lockstep(ours, X, y, alone, **(fit_params or {}))
    np.random.seed(0)  # noqa: NPY002
    theirs.fit(X, y, **(fit_params or {}))
    assert_same_results(ours, theirs)
    assert ours.estimator is estimator
    if theirs.refit:
        assert type(ours.best_estimator_) is type(theirs.best_estimator_)
        assert_array_equal(ours.predict(X), theirs.predict(X))
    return ours, theirs


def assert_same_results(ours, theirs):
    assert ours.cv_results_.keys() == theirs.cv_results_.keys()
    for name in theirs.cv_results_:
        if name == "params":
            assert repr(ours.cv_results_[name]) == repr(theirs.cv_results_[name])
        elif "time" not in name and not name.startswith("param_"):
            assert_array_equal(ours.cv_results_[name], theirs.cv_results_[name], name)
    for name in ("best_index_", "best_score_", "n_splits_", "multimetric_"):
        assert getattr(ours, name, None) == getattr(theirs, name, None)
