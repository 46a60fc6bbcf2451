"""class_weight: what it multiplies, what it equals, what it refuses."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.metrics import recall_score
from sklearn.model_selection import GridSearchCV
from sklearn.utils.class_weight import compute_sample_weight

from bpestimator import BackpropClassifier

from data import weights

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y3 = make_classification(
    300, 8, n_informative=5, n_classes=3, weights=[0.7, 0.2], flip_y=0.1, random_state=0
)
Y2 = (Y3 == 2).astype(int)
NAMES = np.array(["often", "rare", "seldom"])[Y3]
WEIGHT = np.random.RandomState(0).uniform(0.5, 2, 300)
EACH = {
    "two": (Y2, {0: 0.5, 1: 4}),
    "three": (Y3, {0: 0.5, 2: 4.0}),
    "strings": (NAMES, {"often": 0.2, "rare": 3}),
}


def model(**params):
    params = {"max_iter": 10, "batch_size": 50, "random_state": 0} | params
    return BackpropClassifier((6,), **params)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("sample_weight", [None, WEIGHT], ids=["alone", "with sample_weight"])
@pytest.mark.parametrize("balanced", [False, True], ids=["dict", "balanced"])
@pytest.mark.parametrize("data", EACH)
def test_it_multiplies_sample_weight(data, balanced, sample_weight, solver):
    y, each = EACH[data]
    class_weight = "balanced" if balanced else each
    labels = {k: each.get(k, 1.0) for k in np.unique(y).tolist()}
    by_row = compute_sample_weight("balanced" if balanced else labels, y)
    total = by_row if sample_weight is None else by_row * sample_weight
    weighted = model(solver=solver, class_weight=class_weight).fit(X, y, sample_weight)
    assert_array_equal(weights(weighted), weights(model(solver=solver).fit(X, y, total)))
    assert not np.allclose(weights(weighted), weights(model(solver=solver).fit(X, y)))


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_multilabel(container):
    inputs, labels = make_multilabel_classification(80, 5, n_classes=3, random_state=0)
    each = [{0: 1, 1: 3}, {1: 2.0}, {0: 0.5}]
    full = [{0: one.get(0, 1), 1: one.get(1, 1)} for one in each]
    for class_weight, by_row in (
        ("balanced", compute_sample_weight("balanced", labels)),
        (each, compute_sample_weight(full, labels)),
    ):
        weighted = model(class_weight=class_weight).fit(inputs, container(labels))
        assert_allclose(weights(weighted), weights(model().fit(inputs, labels, by_row)))


def test_rare_classes_are_found_more_often():
    plain = model(max_iter=60, learning_rate=0.01).fit(X, Y2)
    balanced = clone(plain).set_params(class_weight="balanced").fit(X, Y2)
    assert recall_score(Y2, balanced.predict(X)) > recall_score(Y2, plain.predict(X))


def test_partial_fit_takes_dicts_even_for_chunks_without_a_class():
    y, each = EACH["three"]
    order = np.argsort(y, kind="stable")
    est = model(class_weight=each, shuffle=False, max_iter=1)
    est.partial_fit(X[order[:50]], y[order[:50]], classes=[0, 1, 2])
    weighted = model(shuffle=False, max_iter=1)
    weighted.partial_fit(X[order[:50]], y[order[:50]], np.full(50, 0.5), classes=[0, 1, 2])
    assert_array_equal(weights(est), weights(weighted))


def test_a_class_that_y_lacks_may_have_a_weight():
    """So that a dict for all classes suits a fold or a subsample without one of them."""
    few = Y3 != 1
    full = model(class_weight={0: 1, 1: 5, 2: 3}).fit(X[few], Y3[few])
    assert_array_equal(
        weights(full), weights(model(class_weight={0: 1, 2: 3}).fit(X[few], Y3[few]))
    )


def test_partial_fit_refuses_balanced_and_learns_nothing():
    est = model(class_weight="balanced")
    with pytest.raises(ValueError, match=r"'balanced' cannot be used with partial_fit.*dict"):
        est.partial_fit(X, Y3, classes=[0, 1, 2])
    assert not hasattr(est, "coefs_")


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ("equal", "must be None, 'balanced', a dict"),
        ({0: -1}, "a weight of at least 0"),
        ({0: "heavy"}, "a weight of at least 0"),
        (
            {0: 2.0, 7: 1.0},
            r"labels that are not among the classes: \[7\]. The classes are \[0, 1, 2\]",
        ),
        ([{0: 1}], "class_weight must be 'balanced' or a dict"),
        ({0: 0, 1: 0, 2: 0}, "Every row has weight 0"),
    ],
)
def test_errors(class_weight, message):
    with pytest.raises(ValueError, match=message):
        model(class_weight=class_weight).fit(X, Y3)


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [({0: 1}, "a list of one dict per label"), ([{0: 1}], "has 1 dicts, but y has 3 labels")],
)
def test_errors_for_multilabel(class_weight, message):
    inputs, labels = make_multilabel_classification(40, 5, n_classes=3, random_state=0)
    with pytest.raises(ValueError, match=message):
        model(class_weight=class_weight).fit(inputs, labels)


def test_early_stopping_watches_the_weighted_score():
    est = model(class_weight={0: 1, 1: 30}, early_stopping=True, max_iter=30)
    same = model(early_stopping=True, max_iter=30)
    scores = est.fit(X, Y2).validation_scores_
    assert scores == same.fit(X, Y2, np.where(Y2, 30.0, 1.0)).validation_scores_


def test_grid_search():
    grid = {"class_weight": [None, "balanced", {0: 1, 1: 5}]}
    est = model(max_iter=40, learning_rate=0.01)
    search = GridSearchCV(est, grid, cv=2, scoring="recall").fit(X, Y2)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] < scores[2]  # weights for the rare class raise its recall
    assert scores[0] < scores[1]


def test_a_validation_set_without_weight_says_so():
    rare = (np.arange(300) < 4).astype(int)
    est = model(class_weight={0: 0, 1: 1}, early_stopping=True, max_iter=30)
    with pytest.raises(ValueError, match="rows of the validation set have weight 0"):
        est.fit(X, rare)
