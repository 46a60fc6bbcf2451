"""Fitting: train the network of a :class:`FitTask`, and return a :class:`FitResult`.

Nothing in this package reads or writes an estimator.
"""

from bpestimator.estimators.fitting.callbacks import CallbackListener
from bpestimator.estimators.fitting.full_batch import fit_full_batch, prepare_full_batch
from bpestimator.estimators.fitting.problem import (
    Call,
    Earlier,
    EpochListener,
    FitResult,
    FitTask,
    HeldOut,
    Problem,
    network_attributes,
)
from bpestimator.estimators.fitting.stochastic import (
    Training,
    finish,
    fit_stochastic,
    prepare_stochastic,
)
from bpestimator.estimators.fitting.validation import is_scorer

__all__ = [
    "Call",
    "CallbackListener",
    "Earlier",
    "EpochListener",
    "FitResult",
    "FitTask",
    "HeldOut",
    "Problem",
    "Training",
    "finish",
    "fit_full_batch",
    "fit_stochastic",
    "is_scorer",
    "network_attributes",
    "prepare_full_batch",
    "prepare_stochastic",
]
