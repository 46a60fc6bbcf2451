"""Training rules: everything that says how to train."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from bpestimator.training.dropout import Dropout
from bpestimator.training.optimizer import Optimizer
from bpestimator.training.penalties import L2
from bpestimator.training.schedules import Schedule
from bpestimator.training.stopping import Stopping


@dataclass(frozen=True)
class TrainingRules:
    """How to train.

    Parameters
    ----------
    optimizer : Optimizer
    schedule : Schedule
    penalty : L2
    stopping : Stopping
    max_epochs : int
        Of one call of :func:`bpestimator.training.train`.
    max_grad_norm : float, or ndarray of shape lead + (1,), default=inf
        A gradient of a greater norm is scaled down to it before the step.
    max_seconds : float, default=inf
        Of one call of ``train``; checked after each epoch.
    dropout : Dropout or None, default=None
        Draws from the generators of the state's streams.
    diagnostics : bool, default=False
        Whether the history has the measures of :mod:`bpestimator.training.diagnostics`.
    """

    optimizer: Optimizer
    schedule: Schedule
    penalty: L2
    stopping: Stopping
    max_epochs: int
    max_grad_norm: Any = inf
    max_seconds: float = inf
    dropout: Dropout | None = None
    diagnostics: bool = False

    @property
    def drops_features(self) -> bool:
        """Whether at least one model has dropout of its features."""
        return self.dropout is not None and bool(np.any(self.dropout.rates[0]))
