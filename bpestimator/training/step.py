"""One step: from a batch of rows to changed parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.training.clipping import clip
from bpestimator.training.diagnostics import Diagnostics
from bpestimator.training.objective import Batch, Objective, UnequalBatch
from bpestimator.training.rules import TrainingRules
from bpestimator.training.segments import segment_of, segments
from bpestimator.training.state import TrainState


class Stepper:
    """Takes steps of the optimizer; every call it makes can be recorded.

    Parameters
    ----------
    objective : Objective
    rules : TrainingRules
    state : TrainState
        Its parameters and its optimizer's state are changed in place.
    diagnostics : Diagnostics or None

    Attributes
    ----------
    rate : ndarray of shape lead + (1,)
        The learning rate of the next step.
    """

    def __init__(
        self,
        objective: Objective,
        rules: TrainingRules,
        state: TrainState,
        diagnostics: Diagnostics | None,
    ) -> None:
        self._objective, self._state, self._diagnostics = objective, state, diagnostics
        self._optimizer, self._max_grad_norm = rules.optimizer, rules.max_grad_norm
        lead, dtype = state.params.shape[:-1], state.params.dtype
        self.rate = np.empty((*lead, 1), dtype)
        self._factor = np.empty((*lead, rules.optimizer.n_factors), dtype)

    def train_on(self, batch: Batch | UnequalBatch, terms: Array, norms: Array) -> None:
        """Take the step of one batch.

        Parameters
        ----------
        batch : Batch or UnequalBatch
        terms : ndarray of shape lead + (batch, n_terms)
            Receives the terms of the loss.
        norms : ndarray of shape lead + (layers,)
            Receives the squared norm of each layer's weights before the step.
        """
        objective = self._objective
        clips = np.isfinite(self._max_grad_norm).any()  # decided once, when the step is recorded
        if self._diagnostics is not None:
            self._diagnostics.keep_parameters(terms.shape[-2])
        objective.write_norms(norms)
        objective.sum_gradient(batch, terms)
        if clips:  # by the norm of the whole gradient, which must be complete
            objective.finish_gradient(batch)
            clip(objective.grad, self._max_grad_norm)
        self._optimizer.begin(self._state.optimizer, self.rate, self._factor)
        for segment in self._segments():
            if not clips:
                objective.finish_gradient(batch, segment)
            self._update(segment)

    def _segments(self) -> Sequence[slice]:
        """The segments of the parameters that are updated one after the other."""
        # Plain code may keep numbers in the state, of which each segment has a copy.
        if self._optimizer.is_plain:
            return [slice(None)]
        params = self._state.params
        return segments(params.shape[-1], params.itemsize)

    def _update(self, segment: slice) -> None:
        """Update a segment of the parameters by its gradient."""
        objective, optimizer, whole = self._objective, self._optimizer, self._state.params
        params, grads = whole[..., segment], objective.grad[..., segment]
        scratch = objective.scratch[..., : params.shape[-1]]
        state = self._state.optimizer
        if not optimizer.is_plain:
            state = segment_of(state, segment, whole.shape)
        if self._diagnostics is not None:
            self._diagnostics.keep_gradient(segment)
        optimizer.decay(objective.weights_in(segment), self.rate)
        optimizer.step(params, grads, state, self._factor, scratch)
