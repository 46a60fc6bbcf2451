"""Matrices of labels: what they may hold, and that a model keeps to the form of its y."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal

from bpestimator import BackpropClassifier, LockstepGridSearchCV

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4))
LABELS = (X[:, :3] > 0).astype(int)
CLASSES = np.arange(40) % 3


def net(**params):
    return BackpropClassifier(**{"max_iter": 3, "random_state": 0, **params})


MATRICES = {
    "-1 and 1": 2 * LABELS - 1,
    "1 and 2": LABELS + 1,
    "0 and 2": 2 * LABELS,
    "0 and 255": (255 * LABELS).astype(np.uint8),
    "floats": LABELS * 2.0,
    "all 2": np.full_like(LABELS, 2),
}


@pytest.mark.parametrize("y", MATRICES.values(), ids=MATRICES)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_other_values_are_refused(y, container):
    values = np.unique(y if container is np.asarray else sp.csr_matrix(y).data).tolist()
    message = rf"must hold 1 where .* Got the values \[{values[0]}"
    if container is sp.csr_matrix and len(values) > 1:
        message = "Multioutput targets"  # what scikit-learn takes such a matrix for
    y = container(y)
    with pytest.raises(ValueError, match=message):
        net().fit(X, y)
    with pytest.raises(ValueError, match=message):
        net().partial_fit(X, y, classes=[0, 1, 2])
    fitted = net().fit(X, LABELS)
    before = vars(fitted).copy()
    with pytest.raises(ValueError, match=message):
        fitted.partial_fit(X, y)
    with pytest.raises(ValueError, match=message):
        fitted.fit(X, LABELS, X_val=X, y_val=y)
    assert all(vars(fitted)[name] is value for name, value in before.items())


@pytest.mark.parametrize("y", [LABELS > 0, LABELS * 1.0, LABELS.astype(np.uint8)], ids=str)
def test_flags_and_other_numbers_are_labels(y):
    assert_array_equal(net().fit(X, y).coefs_[0], net().fit(X, LABELS).coefs_[0])


def test_a_search_raises_it_too():
    search = LockstepGridSearchCV(net(), {"alpha": [0.1, 1, 10]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="must hold 1 where"):
        search.fit(X, 2 * LABELS)


@pytest.mark.parametrize("first", [LABELS, CLASSES], ids=["labels first", "classes first"])
@pytest.mark.parametrize("call", ["partial_fit", "warm start"])
def test_the_form_of_y_stays(first, call):
    second = CLASSES if first is LABELS else LABELS
    est = net(warm_start=True).fit(X, first)
    before, predicted = vars(est).copy(), est.predict(X)
    with pytest.raises(ValueError, match=r"y has .*, but the network was fitted with"):
        est.partial_fit(X, second) if call == "partial_fit" else est.fit(X, second)
    assert all(vars(est)[name] is value for name, value in before.items())
    assert_array_equal(est.predict(X), predicted)
    est.partial_fit(X, first)


def test_a_new_fit_may_have_another_form():
    est = net().fit(X, LABELS).fit(X, CLASSES)
    assert est.predict(X).shape == (40,)
    assert est.fit(X, LABELS).predict(X).shape == (40, 3)
