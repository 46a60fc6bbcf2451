"""The objective: penalised loss and gradient of one batch, the heart of every solver."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bpestimator.nn.layout import Array, empty_buffer
from bpestimator.nn.network import NetworkSpec, Wiring, backward, forward, wire
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


class Bound(NamedTuple):
    """What :meth:`Objective.bind` makes for one batch size."""

    wiring: Wiring
    loss_scratch: Any


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
    scratch : ndarray of shape lead + (P,)
        Free for use between calls.
    layer_weights : list of ndarray of shape lead + (fan_in * fan_out,)
        The weights of each layer, as views.
    """

    def __init__(self, spec: NetworkSpec, flat: Array, penalty: L2) -> None:
        self.spec = spec
        self.flat = flat
        self.penalty = penalty
        self.grad = empty_buffer(flat.shape, flat.dtype)
        self._params = spec.layout.bind(flat)
        self._grads = spec.layout.bind(self.grad)
        n_weights = spec.layout.n_weights
        self._weights = flat[..., :n_weights]
        self._weight_grads = self.grad[..., :n_weights]
        self.scratch = empty_buffer(flat.shape, flat.dtype)
        self._weight_scratch = self.scratch[..., :n_weights]
        lead = flat.shape[:-1]
        self.layer_weights = [weights.reshape((*lead, -1)) for weights in self._params.weights]

    def bind(self, rows: int, *, sparse: bool) -> Bound:
        """Buffers for batches of that many rows, wired to parameters and gradient."""
        lead = self.flat.shape[:-1]
        ws = Workspace(self.spec, rows, lead, self.flat.dtype)
        wiring = wire(self.spec, self._params, self._grads, ws, sparse=sparse)
        return Bound(wiring, ws.loss_scratch)

    def gradient(self, batch: Batch, bound: Bound, record: Array) -> Array:
        """Write the batch's gradient to ``grad`` and what its loss depends on to ``record``.

        Returns
        -------
        grad : ndarray of shape lead + (P,)
        """
        x, y, weight, total = batch
        wiring, loss_scratch = bound
        raw = forward(x, wiring)
        self.spec.loss.delta(raw, y, record, loss_scratch)
        if weight is not None:
            np.multiply(raw, weight[..., None], raw)
        backward(x, wiring)
        self.penalty.add_gradient(self._weights, self._weight_grads, self._weight_scratch)
        np.divide(self.grad, total, self.grad)
        return self.grad

    def value(self, batch: Batch, record: Array) -> Any:
        """Penalised loss of a batch whose record is at hand, of shape lead."""
        outputs = self.spec.sizes[-1]
        loss = self.spec.loss.value(record, batch.y, batch.weight, outputs)
        norm = np.asarray(squared_norm(self.layer_weights))[..., None]
        return loss + self.penalty.value(norm, batch.total)[..., 0]
