"""Groups, weights and other things that the searches hand on, and kinds of X and y."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.model_selection import GroupKFold, KFold

from bpestimator import LockstepGridSearchCV

from data import RATES, C, assert_same_results, clf, iris, scaled, search_both, search_in_lockstep

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

GRID = {"learning_rate": RATES}


def groups_and_weights(y):
    rng = np.random.default_rng(0)
    return {"groups": rng.integers(0, 6, len(y)), "sample_weight": rng.uniform(size=len(y))}


def test_groups_and_weights_go_where_they_do_in_scikit_learn():
    X, y = iris()
    params = groups_and_weights(y)
    weighted, _ = search_both(clf(), GRID, X, y, cv=GroupKFold(3), fit_params=params)
    unweighted = LockstepGridSearchCV(clf(), GRID, cv=GroupKFold(3))
    search_in_lockstep(unweighted, X, y, groups=params["groups"])
    means = [search.cv_results_["mean_test_score"] for search in (unweighted, weighted)]
    assert not np.array_equal(*means)


@pytest.mark.parametrize(
    "weight", [np.arange(150.0), np.arange(150) % 3, np.ones(150)], ids=["all", "some", "one"]
)
def test_weights_of_some_rows_only(weight):
    cv = KFold(3, shuffle=True, random_state=0)
    search_both(clf(batch_size=4), GRID, *iris(), cv=cv, fit_params={"sample_weight": weight})


def test_weights_for_the_last_step_of_a_pipeline():
    X, y = iris()
    weight = {f"{C}sample_weight": np.random.default_rng(0).uniform(size=len(y))}
    search_both(scaled(clf()), {f"{C}learning_rate": RATES}, X, y, cv=3, fit_params=weight)


def test_no_weights_at_all():
    none = {"sample_weight": None}
    search_both(clf(), GRID, *iris(), cv=3, fit_params=none)
    in_pipeline = {f"{C}learning_rate": RATES}
    with sklearn.config_context(enable_metadata_routing=True):
        search_both(scaled(clf()), in_pipeline, *iris(), cv=3)
        asking = clf().set_fit_request(sample_weight=True)
        search_both(scaled(asking), in_pipeline, *iris(), cv=3, fit_params=none)


def test_with_metadata_routing():
    X, y = iris()
    with sklearn.config_context(enable_metadata_routing=True):
        net = clf().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search_both(net, GRID, X, y, cv=GroupKFold(3), fit_params=groups_and_weights(y))


def test_frames_and_lists():
    X, y = iris()
    frame, series = pd.DataFrame(X, columns=list("abcd")), pd.Series(y, index=range(7, 157))
    of_lists, _ = search_both(clf(), GRID, X.tolist(), y.tolist())
    ours = search_in_lockstep(LockstepGridSearchCV(clf(), GRID), frame, series)
    assert_same_results(ours, of_lists)
    assert list(ours.feature_names_in_) == list("abcd")
