"""Searches of which some fits fail, or all."""

import pytest
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bpestimator import BackpropClassifier, LockstepGridSearchCV

from data import (
    RATES,
    FitCounts,
    assert_same_results,
    clf,
    count_lockstep_fits,
    iris,
    scaled,
    search_in_lockstep,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("name", ["learning_rate", "backpropclassifier__learning_rat"])
def test_a_parameter_that_there_is_not(name, n_jobs):
    X, y = iris()
    model = scaled(clf(max_iter=2))
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
    options = {"error_score": -7.0, "cv": 2}
    with pytest.warns(FitFailedWarning, match="The 'alpha' parameter"):
        ours = search_in_lockstep(LockstepGridSearchCV(clf(), grid, **options), X, y, alone=10)
    with pytest.warns(FitFailedWarning, match="The 'alpha' parameter"):
        theirs = GridSearchCV(clf(), grid, **options).fit(X, y)
    assert_same_results(ours, theirs)
    assert (ours.cv_results_["mean_test_score"] == -7.0).sum() == 5
    with pytest.raises(ValueError, match="parameter of BackpropClassifier must be"):
        LockstepGridSearchCV(clf(), grid, error_score="raise").fit(X, y)


def test_a_fit_without_finite_weights_fails_alone():
    X, y = iris()
    grid = {"learning_rate": [0.01, 0.1, 0.2, 1e308]}
    searches = []
    for kind in (LockstepGridSearchCV, GridSearchCV):
        search = kind(clf(solver="sgd"), grid, cv=2, error_score=0.0)
        with count_lockstep_fits() as counts, pytest.warns(FitFailedWarning, match="non-finite"):
            searches.append((search.fit(1e5 * X, y), counts))
    (ours, counts), (theirs, _) = searches
    assert_same_results(ours, theirs)
    # All train together; then those that ended without finite weights fit alone, and so say why.
    n_lost = 2 * (ours.cv_results_["mean_test_score"] == 0).sum()
    assert counts == FitCounts(together=8, alone=n_lost + 1)
    assert n_lost > 0


def test_whatever_fails_the_search_is_as_before():
    X, y = iris()
    net, cv = clf(), KFold(3)
    search = LockstepGridSearchCV(net, {"learning_rate": [-1.0]}, cv=cv, error_score="raise")
    with pytest.raises(ValueError, match="learning_rate"):
        search.fit(X, y)
    assert search.estimator is net
    assert search.cv is cv
    search.set_params(param_grid={"learning_rate": RATES}).fit(X, y)
    assert_same_results(search, GridSearchCV(net, {"learning_rate": RATES}, cv=cv).fit(X, y))


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
