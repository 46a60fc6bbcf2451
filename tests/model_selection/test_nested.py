"""Networks in a Pipeline or in a TransformedTargetRegressor train in lockstep too."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, KFold, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from bpestimator import LockstepGridSearchCV

from data import (
    RATES,
    C,
    R,
    T,
    assert_same_results,
    clf,
    count_lockstep_fits,
    diabetes,
    iris,
    reg,
    scaled,
    search_both,
    search_in_lockstep,
    two_unscaled,
    unscaled,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# name: data, estimator, grid, what else the search takes
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


@pytest.mark.parametrize(("data", "estimator", "grid", "options"), WRAPPED.values(), ids=WRAPPED)
def test_same_scores_as_grid_search(data, estimator, grid, options):
    search_both(estimator, grid, *data(), **options)


@pytest.mark.parametrize(("data", "estimator", "grid", "options"), WRAPPED.values(), ids=WRAPPED)
def test_wrapped_networks_train_in_lockstep(data, estimator, grid, options):
    X, y = data()
    search = search_in_lockstep(LockstepGridSearchCV(estimator, grid, **options), X, y)
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
    weight = {f"{prefix}sample_weight": np.random.default_rng(0).uniform(size=len(y))}
    net = wrap(reg())
    (name,) = [name for name in net.get_params() if name.endswith("learning_rate_init")]
    search_both(net, {name: RATES}, X, y, cv=3, fit_params=weight)


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
        with count_lockstep_fits() as counts:
            pair = [
                kind(wrapped, {"regressor": nets}, cv=2, refit=False).fit(
                    X, y, sample_weight=weight
                )
                for kind in (LockstepGridSearchCV, GridSearchCV)
            ]
    assert_same_results(*pair)
    assert counts.together == 0


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
    search_in_lockstep(search, X, y)
    assert step.fitted == 4


@pytest.mark.parametrize(
    ("base", "cv", "times", "alone"),
    [(OneHotEncoder, KFold(5), 5 + 1, 5), (StandardScaler, TimeSeriesSplit(4), 4, 0)],
    ids=["sparse rows", "lengths that differ"],
)
def test_steps_of_what_goes_alone_are_hardly_fitted_in_vain(base, cv, times, alone):
    X, y = iris()[0], np.arange(150) % 3
    step = counting(base)
    model = make_pipeline(step(), clf(max_iter=1))
    if base is OneHotEncoder:
        X = np.round(X)
        model.set_params(counting__handle_unknown="ignore")
    grid = {f"{C}hidden_layer_sizes": [(3,)]}
    search = LockstepGridSearchCV(model, grid, cv=cv, refit=False, error_score="raise")
    search_in_lockstep(search, X, y, alone=alone)
    assert step.fitted == times
