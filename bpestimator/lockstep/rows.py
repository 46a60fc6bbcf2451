"""Rows to learn from, as ``fit`` would take them: for those who take single steps of their own."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from bpestimator.estimators import Call, problem_of, settings_of, validate, warn


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
    # The initial weights are not looked at: they may not cost the user's random numbers.
    settings, call = settings_of(est), Call()
    probe = clone(est).set_params(random_state=0)
    data = validate(probe, X, y, sample_weight, call)
    problem = problem_of(probe, settings, call, data)
    warn(problem.warnings)
    X, weight = problem.x, problem.weight
    weight = np.ones(X.shape[0]) if weight is None else weight
    return Rows(X, problem.y, weight, problem.targets.attributes.get("classes_"))
