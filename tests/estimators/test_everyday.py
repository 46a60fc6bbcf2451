"""A script around the estimator: whatever in it took an MLP takes one of these."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from bpestimator import BackpropClassifier, BackpropRegressor

# How far max_iter gets is not the matter here.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)

IRIS = load_iris(return_X_y=True)
X_DIABETES, Y_DIABETES = load_diabetes(return_X_y=True)
X_DIABETES, Y_DIABETES = X_DIABETES[:150], Y_DIABETES[:150]
LABELS = make_multilabel_classification(120, 8, n_classes=3, random_state=0)


def classifier(**params):
    params = {"learning_rate": 0.02, "max_iter": 80, "random_state": 0, **params}
    return BackpropClassifier((12,), **params)


def regressor(**params):
    params = {"learning_rate": 0.02, "max_iter": 40, "random_state": 0, **params}
    return BackpropRegressor(hidden_layer_sizes=(12,), **params)


def scaled(est):
    return make_pipeline(StandardScaler(), est)


def transformed():
    inner = make_pipeline(StandardScaler(), regressor())
    return TransformedTargetRegressor(inner, transformer=StandardScaler())


RATES = {"learning_rate": [1e-4, 0.05]}

# name -> (estimator, score to reach on the data it has seen)
CLASSIFIERS = {
    "pipeline": (scaled(classifier()), 0.95),
    "grid search": (GridSearchCV(classifier(), RATES, cv=3), 0.9),
    "grid search, two jobs": (GridSearchCV(classifier(), RATES, cv=3, n_jobs=2), 0.9),
    "grid search in a pipeline": (
        GridSearchCV(scaled(classifier()), {"backpropclassifier__learning_rate": [1e-4, 0.1]}),
        0.9,
    ),
    "grid of names and numbers": (
        GridSearchCV(classifier(), {"learning_rate": ["constant", "adaptive", 0.05]}, cv=3), 0.9
    ),
    "random search": (
        RandomizedSearchCV(
            classifier(), {"hidden_layer_sizes": [(8,), (8, 8), 20], "learning_rate": [0.03, 0.1]},
            n_iter=3, cv=3, random_state=0,
        ),
        0.9,
    ),
    "halving search": (
        HalvingGridSearchCV(
            classifier(max_iter=1), RATES, resource="max_iter", min_resources=20,
            max_resources=40, factor=2, cv=3, random_state=0,
        ),
        0.8,
    ),
    "bagging": (BaggingClassifier(classifier(), n_estimators=3, random_state=0), 0.9),
    "voting": (
        VotingClassifier(
            [("net", classifier()), ("linear", LogisticRegression(max_iter=500))], voting="soft"
        ),
        0.9,
    ),
    "boosting": (AdaBoostClassifier(scaled(classifier()).steps[1][1], n_estimators=2), 0.9),
    "calibrated": (CalibratedClassifierCV(scaled(classifier()), cv=3), 0.9),
    "one against the rest": (OneVsRestClassifier(classifier()), 0.9),
    "one against one": (OneVsOneClassifier(classifier()), 0.9),
    "self-training": (SelfTrainingClassifier(scaled(classifier())), 0.9),
    "feature selection": (
        make_pipeline(
            SequentialFeatureSelector(classifier(max_iter=15), n_features_to_select=2, cv=2),
            classifier(),
        ),
        0.9,
    ),
}  # fmt: skip

REGRESSORS = {
    "pipeline": (
        scaled(BackpropRegressor(solver="lbfgs", max_iter=500, alpha=100, random_state=0)),
        0.5,
    ),
    "transformed target": (transformed(), 0.5),
    "stacking": (
        StackingRegressor([("net", transformed()), ("linear", Ridge())], Ridge(), cv=3), 0.4
    ),
    "bagging": (BaggingRegressor(transformed(), n_estimators=3, random_state=0), 0.5),
    "boosting": (AdaBoostRegressor(transformed(), n_estimators=2, random_state=0), 0.5),
    "grid search of regressor": (
        GridSearchCV(
            transformed(), {"regressor__backpropregressor__learning_rate": [1e-4, 0.02]}, cv=3
        ),
        0.5,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("model", "score"), CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_classifier_inside(model, score):
    X, y = IRIS
    model = clone(model)
    if isinstance(model, SelfTrainingClassifier):
        y = np.where(np.random.RandomState(0).rand(len(y)) < 0.3, -1, y)
    assert is_classifier(model)
    assert model.fit(X, y).score(X, IRIS[1]) >= score
    assert model.predict(X[:3]).dtype == IRIS[1].dtype


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize(("model", "score"), REGRESSORS.values(), ids=REGRESSORS)
def test_regressor_inside(model, score):
    model = clone(model)
    assert is_regressor(model)
    assert model.fit(X_DIABETES, Y_DIABETES).score(X_DIABETES, Y_DIABETES) >= score


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (MultiOutputClassifier(classifier()), LABELS),
        (ClassifierChain(classifier()), LABELS),
        (MultiOutputRegressor(scaled(regressor())), LABELS),
        (OneVsRestClassifier(classifier()), LABELS),
        (classifier(), LABELS),
    ],
    ids=lambda value: type(value).__name__,
)
def test_several_targets(model, data):
    X, y = data
    predicted = clone(model).fit(X, y).predict(X)
    assert predicted.shape == y.shape
    assert np.mean((predicted > 0.5) == y) > 0.8


def test_grid_search_in_two_processes_changes_nothing():
    X, y = IRIS
    grid = {"learning_rate": [1e-3, 1e-2, "adaptive"], "solver": ["adam", "sgd"]}
    one, two = (
        GridSearchCV(classifier(), grid, cv=3, n_jobs=jobs, return_train_score=True).fit(X, y)
        for jobs in (1, 2)
    )
    for key in ("mean_test_score", "mean_train_score"):
        np.testing.assert_array_equal(one.cv_results_[key], two.cv_results_[key])


def test_halving_over_max_iter_trains_longer_each_round():
    search = CLASSIFIERS["halving search"][0]
    search = clone(search).fit(*IRIS)
    assert search.n_resources_ == [20, 40]
    assert search.best_params_["learning_rate"] == 0.05


def test_cross_validation():
    results = cross_validate(
        scaled(classifier()), *IRIS, cv=3, scoring=["accuracy", "neg_log_loss", "roc_auc_ovr"],
        return_estimator=True, error_score="raise",
    )  # fmt: skip
    assert results["test_accuracy"].min() > 0.9
    assert results["test_roc_auc_ovr"].min() > 0.95
    probabilities = cross_val_predict(classifier(), *IRIS, cv=3, method="predict_proba")
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_curves():
    _, train, test = learning_curve(
        classifier(), *IRIS, cv=3, train_sizes=[0.5, 1.0], shuffle=True, random_state=0
    )
    assert train.shape == test.shape == (2, 3)
    assert min(train.min(), test.min()) > 0.9
    # exploit_incremental_learning goes through partial_fit
    _, train, _ = learning_curve(
        classifier(), *IRIS, cv=3, train_sizes=[0.5, 1.0], shuffle=True, random_state=0,
        exploit_incremental_learning=True,
    )  # fmt: skip
    assert train.shape == (2, 3)
    assert train[1].min() > train[0].max() + 0.2  # it goes on where it was
    train, _ = validation_curve(
        classifier(), *IRIS, param_name="learning_rate", param_range=[1e-5, 0.05], cv=3
    )
    assert train[1].min() > train[0].max()


def test_inspection():
    X, y = IRIS
    model = scaled(classifier()).fit(X, y)
    importances = permutation_importance(model, X, y, n_repeats=3, random_state=0)
    assert importances.importances_mean[2:].min() > importances.importances_mean[:2].max()
    assert partial_dependence(model, X, [2], grid_resolution=5)["average"].shape == (3, 5)


def test_data_frames():
    frame, y = load_iris(return_X_y=True, as_frame=True)
    names = frame.columns.tolist()
    model = scaled(classifier()).set_output(transform="pandas").fit(frame, y)
    assert model[-1].feature_names_in_.tolist() == names
    assert model.score(frame, y) > 0.95
    with pytest.raises(ValueError, match="feature names should match"):
        model[-1].predict(model[0].transform(frame)[names[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model[-1].predict(frame.to_numpy())


def test_columns_of_a_table():
    table = pd.DataFrame({"size": np.linspace(0, 1, 60), "colour": ["red", "blue", "green"] * 20})
    y = np.where(table.colour == "red", "stop", "go")
    columns = make_column_transformer((OneHotEncoder(), ["colour"]), (MinMaxScaler(), ["size"]))
    assert make_pipeline(columns, classifier()).fit(table, y).score(table, y) == 1


@pytest.fixture
def _routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("_routing")
@pytest.mark.parametrize("make", [classifier, regressor])
def test_sample_weight_is_routed(make):
    X, y = IRIS
    weight = np.random.RandomState(0).uniform(0, 2, len(y))
    est = make().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    routed = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), est)
    routed.fit(X, y, sample_weight=weight)
    direct = make().fit(StandardScaler().fit_transform(X), y, sample_weight=weight)
    np.testing.assert_array_equal(routed[-1].coefs_[0], direct.coefs_[0])
    cross_validate(est, X, y, params={"sample_weight": weight}, cv=3, error_score="raise")
    with pytest.raises(UnsetMetadataPassedError):
        make_pipeline(make()).fit(X, y, sample_weight=weight)
    assert make().set_partial_fit_request(sample_weight=True).partial_fit


@pytest.mark.parametrize(
    ("est", "text"),
    [
        (BackpropClassifier(), "BackpropClassifier()"),
        (
            BackpropClassifier((5, 4), learning_rate=0.1),
            "BackpropClassifier(hidden_layer_sizes=(5, 4), learning_rate=0.1)",
        ),
        (
            BackpropRegressor("poisson", 7),
            "BackpropRegressor(hidden_layer_sizes=7, loss='poisson')",
        ),
    ],
    ids=["default", "classifier", "regressor"],
)
def test_parameters_and_repr(est, text):
    assert repr(est) == text
    assert clone(est).get_params() == est.get_params()
    assert type(est)(**est.get_params()).get_params() == est.get_params()
    assert est.set_params(alpha=0.5, solver="sgd") is est
    assert (est.get_params()["alpha"], est.solver) == (0.5, "sgd")
    with pytest.raises(ValueError, match="Invalid parameter 'alhpa'"):
        est.set_params(alhpa=1)
    assert type(est).__name__ in est._repr_html_()


def test_clone_forgets_what_was_learnt():
    fitted = classifier().fit(*IRIS)
    fresh = clone(fitted)
    assert not [name for name in vars(fresh) if name.endswith("_")]
    # Deep copies of mutable parameters, so that searches cannot touch the caller's.
    sizes = [6, 5]
    est = clone(classifier(learning_rate=0.1).set_params(hidden_layer_sizes=sizes))
    assert est.hidden_layer_sizes == sizes
    assert est.hidden_layer_sizes is not sizes
