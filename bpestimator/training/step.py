"""One step: from a batch of rows to changed parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.training.blocks import block_of, blocks
from bpestimator.training.clipping import clip
from bpestimator.training.diagnostics import Diagnostics
from bpestimator.training.objective import Batch, Objective, UnequalBatch
from bpestimator.training.rules import TrainingRules
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

    def take(self, batch: Batch | UnequalBatch, terms: Array, norms: Array) -> None:
        """Move the parameters by one batch.

        Parameters
        ----------
        batch : Batch or UnequalBatch
        terms : ndarray of shape lead + (batch, n_terms)
            Receives the terms of the loss.
        norms : ndarray of shape lead + (layers,)
            Receives the squared norm of each layer's weights before the step.
        """
        objective, clips = self._objective, np.isfinite(self._max_grad_norm).any()
        if self._diagnostics is not None:
            self._diagnostics.keep_parameters(terms.shape[-2])
        objective.write_norms(norms)
        objective.sum_gradient(batch, terms)
        if clips:  # by the norm of the whole gradient, which must be complete
            objective.finish_gradient(batch)
            clip(objective.grad, self._max_grad_norm)
        self._optimizer.begin(self._state.optimizer, self.rate, self._factor)
        for block in self._blocks():
            if not clips:
                objective.finish_gradient(batch, block)
            self._move(block)

    def _blocks(self) -> Sequence[slice]:
        """The parts of the parameters that are moved one after the other."""
        # Plain code may keep numbers in the state, of which each block has a copy.
        if self._optimizer.is_plain:
            return [slice(None)]
        params = self._state.params
        return blocks(params.shape[-1], params.itemsize)

    def _move(self, block: slice) -> None:
        """Move a block of the parameters by its gradient."""
        objective, optimizer, whole = self._objective, self._optimizer, self._state.params
        params, grads = whole[..., block], objective.grad[..., block]
        scratch = objective.scratch[..., : params.shape[-1]]
        state = self._state.optimizer
        if not optimizer.is_plain:
            state = block_of(state, block, whole.shape)
        if self._diagnostics is not None:
            self._diagnostics.keep_gradient(block)
        optimizer.decay(objective.weights_in(block), self.rate)
        optimizer.step(params, grads, state, self._factor, scratch)
