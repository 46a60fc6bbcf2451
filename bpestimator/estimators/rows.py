"""Rows to learn from, as ``fit`` would take them: for those who take single steps of their own."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from bpestimator.estimators import _options as options
from bpestimator.estimators._base import FitCall


class Rows(NamedTuple):
    """Validated data.

    X : ndarray or sparse matrix of shape (n, features)
    y : as the user wrote it, validated
    weight : ndarray of shape (n,); ``class_weight`` has had its say
    classes : ndarray or None, where y is numbers
    """

    X: Any
    y: Any
    weight: np.ndarray
    classes: np.ndarray | None


def checked_rows(est: Any, X: Any, y: Any, sample_weight: Any = None) -> Rows:
    """What ``est.fit`` would learn from; its errors for what it would refuse."""
    options.check_parameters(est, est._rules)
    # The initial weights are not looked at: they may not cost the user's random numbers.
    probe = clone(est).set_params(random_state=0)
    call = FitCall(incremental=False, fresh=True)
    problem = probe._problem(X, y, sample_weight, (None, None, None), call)
    X, weight = problem.x, problem.weight
    weight = np.ones(X.shape[0]) if weight is None else weight
    return Rows(X, problem.y, weight, getattr(probe, "classes_", None))
