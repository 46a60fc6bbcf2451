"""The objective: penalised loss and gradient of one batch, the heart of every solver."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bpestimator.nn.layout import Array
from bpestimator.nn.network import NetworkSpec, backward, forward
from bpestimator.nn.workspace import Workspace
from bpestimator.training.penalties import L2, squared_norm


class Batch(NamedTuple):
    """Some rows.

    x : ndarray of shape (..., batch, features), or a sparse matrix
    y : ndarray of shape (..., batch, outputs), or (..., batch) for labels
    weight : ndarray of shape (..., batch) or None
    total : total weight of the rows, their number where weight is None
    """

    x: Any
    y: Array
    weight: Array | None
    total: Any


class Objective:
    """The gradient at ``flat``, on buffers bound once.

    Parameters
    ----------
    spec : NetworkSpec
    flat : ndarray of shape lead + (P,)
        The parameters. Whoever changes them in place changes the objective's point.
    penalty : L2

    Attributes
    ----------
    grad : ndarray of shape lead + (P,)
        What :meth:`gradient` wrote last.
    """

    def __init__(self, spec: NetworkSpec, flat: Array, penalty: L2) -> None:
        self.spec = spec
        self.flat = flat
        self.penalty = penalty
        self.grad = np.empty_like(flat)
        self.scratch = np.empty_like(flat)
        self._params = spec.layout.bind(flat)
        self._grads = spec.layout.bind(self.grad)
        n_weights = spec.layout.n_weights
        self._weights = flat[..., :n_weights]
        self._weight_grads = self.grad[..., :n_weights]
        self._weight_scratch = self.scratch[..., :n_weights]
        lead = flat.shape[:-1]
        self._layers = [weights.reshape((*lead, -1)) for weights in self._params.weights]

    def gradient(self, batch: Batch, ws: Workspace, record: Array) -> Array:
        """Write the batch's gradient to ``grad`` and what its loss depends on to ``record``.

        Returns
        -------
        grad : ndarray of shape lead + (P,)
        """
        raw = forward(batch.x, self._params, ws, self.spec)
        self.spec.loss.delta(raw, batch.y, record, ws.loss_scratch)
        if batch.weight is not None:
            raw *= batch.weight[..., None]
        backward(batch.x, self._params, self._grads, ws, self.spec)
        self.penalty.add_gradient(self._weights, self._weight_grads, self._weight_scratch)
        self.grad /= batch.total
        return self.grad

    def squared_norm(self) -> Any:
        """Sum of the squared weights, of shape lead."""
        return squared_norm(self._layers)

    def value(self, batch: Batch, record: Array) -> Array:
        """Penalised loss of a batch whose record is at hand, of shape lead."""
        outputs = self.spec.sizes[-1]
        loss = self.spec.loss.value(record, batch.y, batch.weight, outputs)
        squared_norm = np.asarray(self.squared_norm())[..., None]
        return loss + self.penalty.value(squared_norm, batch.total)[..., 0]
