"""Fits and steps of a search in lockstep warn as they do in scikit-learn's searches."""

import warnings

import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectKBest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bpestimator import LockstepGridSearchCV

from data import RATES, clf, iris, search_both

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def heard(estimator, grid, X, y, **options):
    """The warnings of a search in lockstep, and those of scikit-learn's."""
    heard = []
    for kind in (LockstepGridSearchCV, GridSearchCV):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            kind(estimator, grid, **options).fit(X, y)
        heard.append(caught)
    return heard


def texts(caught):
    return sorted(str(one.message) for one in caught)


def test_each_fit_warns_as_it_would_alone():
    ours, theirs = heard(clf(), {"learning_rate": RATES}, *iris(), cv=2)
    of_convergence = [one for one in theirs if issubclass(one.category, ConvergenceWarning)]
    assert texts(ours) == texts(theirs)
    assert len(of_convergence) > 5


def test_steps_warn_for_each_candidate():
    X, y = iris()
    X[:, 0] = 1.0
    grid = {"backpropclassifier__alpha": [0, 0.1, 1]}
    ours, theirs = heard(make_pipeline(SelectKBest(k=2), clf()), grid, X, y, cv=3)
    assert texts(ours) == texts(theirs)
    assert sum("constant" in text for text in texts(ours)) == 10


class Coded(UserWarning):
    """A warning that cannot be copied by its arguments."""

    def __init__(self, code, text):
        super().__init__(f"[{code}] {text}")


class Noisy(StandardScaler):
    def fit(self, X, y=None, sample_weight=None):
        warnings.warn(Coded(7, "noisy"), stacklevel=1)
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_steps_that_warn_in_their_own_way_fit(solver):
    X, y = iris()
    pipe = make_pipeline(Noisy(), clf(solver=solver))
    grid = {"backpropclassifier__alpha": [0, 0.1, 5.0]}
    alone = 9 if solver == "lbfgs" else 0
    with pytest.warns(Coded, match="noisy"):
        search_both(pipe, grid, X, y, alone=alone, cv=3)
    ours, theirs = heard(pipe, grid, X, y, cv=3)
    assert texts(ours) == texts(theirs)


def test_what_goes_alone_keeps_the_users_filters():
    X, y = iris()
    pipe = make_pipeline(Noisy(), clf(solver="lbfgs"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", module=__name__.replace(".", "[.]"))
        LockstepGridSearchCV(pipe, {"backpropclassifier__alpha": [0, 1.0]}, cv=3).fit(X, y)
    assert not any(issubclass(one.category, Coded) for one in caught)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_warnings_point_to_where_the_search_fits(solver):
    net = clf(solver=solver, max_iter=2)
    ours, theirs = heard(net, {"alpha": [0, 0.1, 5.0]}, *iris(), cv=3)
    assert [one.filename for one in ours] == [one.filename for one in theirs]
    assert len(ours) == 10
