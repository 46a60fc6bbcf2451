"""A search in lockstep as an object: cloned, pickled, fitted again, with callbacks."""

import copy
import pickle

import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score

from bpestimator import LockstepGridSearchCV, LockstepRandomizedSearchCV

from data import RATES, assert_same_results, clf, iris, search_in_lockstep

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_pickles_clones_and_nests():
    X, y = iris()
    search = LockstepGridSearchCV(clf(), {"learning_rate": RATES[1:4]}, cv=3)
    unfitted = clone(search)
    search_in_lockstep(search, X, y)
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
    search = search_in_lockstep(LockstepGridSearchCV(clf(), {"learning_rate": RATES}), X, y)
    alone = clf(**search.best_params_).fit(X, y)
    a, b = search.best_estimator_.partial_fit(X, y), alone.partial_fit(X, y)
    assert_array_equal(a.predict_proba(X), b.predict_proba(X))


def test_callbacks_hear_of_every_fit(capsys):
    pytest.importorskip("sklearn.callback")
    from sklearn.callback import ProgressBar

    pytest.importorskip("rich")
    X, y = iris()
    search = LockstepGridSearchCV(clf(), {"learning_rate": RATES[1:3]}, cv=2)
    search.set_params(verbose=1).set_callbacks(ProgressBar())
    search_in_lockstep(search, X, y, alone=4)
    assert "No fits train in lockstep: callbacks" in capsys.readouterr().out
    assert_same_results(search, GridSearchCV(clf(), {"learning_rate": RATES[1:3]}, cv=2).fit(X, y))
