"""Training: how parameters change.

:func:`train` advances a :class:`TrainState`, which holds all that must survive. So a fit, a fit
that is continued and one that is resumed are the same call. Nothing here knows scikit-learn.
"""

from bpestimator.training.batches import Batches
from bpestimator.training.dropout import Dropout
from bpestimator.training.lbfgs import IterationListener, LBFGSResult, minimize_lbfgs
from bpestimator.training.lockstep import (
    group_size,
    stacked_state,
    train_in_lockstep,
)
from bpestimator.training.objective import Batch, Objective, check_total
from bpestimator.training.optimizer import Optimizer
from bpestimator.training.optimizers import (
    OPTIMIZERS,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    NAdam,
    RMSprop,
)
from bpestimator.training.penalties import L2
from bpestimator.training.rules import TrainingRules
from bpestimator.training.schedules import (
    SCHEDULES,
    Adaptive,
    Clock,
    Constant,
    Cosine,
    CosLog4,
    Exponential,
    InvScaling,
    OneCycle,
    Schedule,
)
from bpestimator.training.stacked_batches import StackedBatches
from bpestimator.training.stacking import stacked
from bpestimator.training.state import Run, TrainState
from bpestimator.training.stopping import Stopping, StopReason
from bpestimator.training.streams import RandomStream, generator_from, generator_state
from bpestimator.training.trainer import Listener, Validation, train

__all__ = [
    "IterationListener",
    "Listener",
    "Adaptive",
    "Constant",
    "CosLog4",
    "Cosine",
    "Exponential",
    "InvScaling",
    "OneCycle",
    "L2",
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Batch",
    "Batches",
    "StackedBatches",
    "RandomStream",
    "Clock",
    "Dropout",
    "LBFGSResult",
    "NAdam",
    "Objective",
    "Optimizer",
    "RMSprop",
    "Run",
    "Validation",
    "Schedule",
    "StopReason",
    "Stopping",
    "TrainState",
    "generator_from",
    "generator_state",
    "TrainingRules",
    "check_total",
    "minimize_lbfgs",
    "train",
    "group_size",
    "stacked_state",
    "stacked",
    "train_in_lockstep",
]
