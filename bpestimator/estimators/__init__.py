"""The face: what scikit-learn's users meet. The only place that imports scikit-learn."""

from bpestimator.estimators._sklearn_compat import has_callbacks
from bpestimator.estimators._validation import is_scorer
from bpestimator.estimators.classifier import BackpropClassifier
from bpestimator.estimators.lockstep import (
    SMALLEST_GROUP,
    TOO_FEW,
    Fit,
    Fold,
    fit_in_lockstep,
    lockstep_key,
    recorded_warnings,
    why_alone,
)
from bpestimator.estimators.regressor import BackpropRegressor
from bpestimator.estimators.rows import Rows, checked_rows
from bpestimator.estimators.wrapped import OURS, check_ours, fit_around, network_of, wrapped_in

__all__ = [
    "OURS",
    "SMALLEST_GROUP",
    "TOO_FEW",
    "BackpropClassifier",
    "BackpropRegressor",
    "Fit",
    "Fold",
    "Rows",
    "check_ours",
    "checked_rows",
    "fit_around",
    "fit_in_lockstep",
    "has_callbacks",
    "is_scorer",
    "lockstep_key",
    "network_of",
    "recorded_warnings",
    "why_alone",
    "wrapped_in",
]
