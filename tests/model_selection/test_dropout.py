"""Dropout in lockstep: each model draws its own masks, and goes on with them."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import PredefinedSplit

from bpestimator import LockstepGridSearchCV

from data import FitCounts, cancer, clf, count_lockstep_fits, weights

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_each_of_twenty_models_goes_on_as_if_alone():
    X, y = cancer()
    models = []

    def keep(est, X, y):
        models.append(est)
        return 0.0

    # They stop one after the other, and some of them well before they leave the group.
    net = clf(dropout=[0.1, 0.3], n_iter_no_change=1, tol=0.01, max_iter=40)
    grid = {"learning_rate": np.geomspace(1e-3, 0.3, 10), "random_state": [0, 1]}
    split = PredefinedSplit(np.where(np.arange(len(y)) < 50, 0, -1))
    search = LockstepGridSearchCV(net, grid, cv=split, scoring=keep, refit=False)
    with count_lockstep_fits() as counts:
        search.fit(X, y)
    assert counts == FitCounts(together=20, alone=0)
    assert len({model.n_iter_ for model in models}) > 5
    for model in models:
        alone = clone(model).fit(X[50:], y[50:])
        for go_on in (False, True, True):
            if go_on:
                model.partial_fit(X, y)
                alone.partial_fit(X, y)
            assert_array_equal(weights(model), weights(alone))
