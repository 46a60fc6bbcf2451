"""Estimators: the classes that follow scikit-learn's conventions, and how they fit."""

from bpestimator.estimators._base import publish, settings_of
from bpestimator.estimators._setup import (
    Validated,
    problem_of,
    problem_of_rows,
    task_of,
    validate,
)
from bpestimator.estimators._sklearn_compat import has_callbacks
from bpestimator.estimators.classifier import BackpropClassifier
from bpestimator.estimators.fitting import (
    Call,
    FitTask,
    Problem,
    Training,
    finish,
    is_scorer,
    prepare_stochastic,
)
from bpestimator.estimators.parameters import (
    Settings,
    batch_size_of,
    stackable_parameters,
    start_parameters,
)
from bpestimator.estimators.regressor import BackpropRegressor
from bpestimator.estimators.threads import blas_threads, largest_product
from bpestimator.estimators.user_warnings import recorded_warnings, warn

__all__ = [
    "BackpropClassifier",
    "BackpropRegressor",
    "Call",
    "FitTask",
    "Problem",
    "Settings",
    "Training",
    "Validated",
    "batch_size_of",
    "blas_threads",
    "finish",
    "has_callbacks",
    "is_scorer",
    "largest_product",
    "prepare_stochastic",
    "problem_of",
    "problem_of_rows",
    "publish",
    "recorded_warnings",
    "settings_of",
    "stackable_parameters",
    "start_parameters",
    "task_of",
    "validate",
    "warn",
]
