"""Rows: validated data, for code that takes single training steps itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from bpestimator.estimators import Call, problem_of, settings_of, validate, warn


class Rows(NamedTuple):
    """Validated data.

    X : ndarray or sparse matrix of shape (n, features)
    y : validated, but not encoded
    weight : ndarray of shape (n,), which includes ``class_weight``
    classes : ndarray of shape (n_classes,); None for a regressor
    """

    X: Any
    y: Any
    weight: np.ndarray
    classes: np.ndarray | None


def checked_rows(est: Any, X: Any, y: Any, sample_weight: Any = None) -> Rows:
    """Validate data as ``est.fit`` does.

    Raises
    ------
    ValueError
        For parameters or data that ``fit`` does not take.
    """
    # The initial weights are not used. A fixed seed leaves the user's random state unchanged.
    settings, call = settings_of(est), Call()
    probe = clone(est).set_params(random_state=0)
    data = validate(probe, X, y, sample_weight, call)
    problem = problem_of(probe, settings, call, data)
    warn([*data.warnings, *problem.warnings])
    X, weight = problem.x, problem.weight
    weight = np.ones(X.shape[0]) if weight is None else weight
    return Rows(X, problem.y, weight, problem.targets.attributes.get("classes_"))
