"""The objective: penalised loss and gradient of a batch, which every solver uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.buffers import empty_buffer
from bpestimator.nn.kernels.workspace import Workspace
from bpestimator.nn.network import Inputs, NetworkSpec, backward, forward
from bpestimator.nn.parameters import Layout
from bpestimator.nn.recording import constant, divide, multiply
from bpestimator.training.dropout import Dropout
from bpestimator.training.penalties import L2, squared_norms
from bpestimator.training.stacking import some_models

ALL_PARAMETERS = slice(None)


class Batch(NamedTuple):
    """Some rows.

    x : ndarray of shape (..., batch, features), or other Inputs
    y : ndarray of shape (..., batch, outputs), or (..., batch) for labels
    weight : ndarray of shape (..., batch) or None
    total : ndarray of shape () or lead + (1,)
        Total weight of the rows; their number where weight is None.
    """

    x: Inputs
    y: Array
    weight: Array | None
    total: Array


class UnequalBatch(NamedTuple):
    """Batches of several models, which differ in their number of rows.

    parts : for each number of rows, the models (a slice of the leading axis) and their batch
    weight : the weights of the first part, or None: only says whether there are weights
    total : ndarray of shape lead + (1,)
        Total weight of each model's rows.
    """

    parts: list[tuple[slice, Batch]]
    weight: Array | None
    total: Array


def check_total(batch: Batch | UnequalBatch) -> None:
    """ValueError if weights cancel out: the gradient is divided by their sum."""
    if batch.weight is not None and batch.total == 0 and batch.weight.any():
        raise ValueError(
            "The sample weights of a batch sum to zero although not all of them are zero: weights "
            f"from {batch.weight.min():g} to {batch.weight.max():g}. Use weights of at least 0."
        )


class Objective:
    """Penalised loss of batches at ``params``, and its gradient.

    Parameters
    ----------
    spec : NetworkSpec
    params : ndarray of shape lead + (P,)
        The parameters; the gradient is computed where they are, so change them in place.
    penalty : L2
    dropout : Dropout or None, default=None
    generators : sequence of numpy.random.Generator, default=()
        The generators of ``dropout``, one per model; models may share one.
    layout : Layout or None, default=None
        Where each layer's lie in ``params``; None for the network's own.
    grad : ndarray of shape lead + (P,), default=None
        The array to write the gradient to; None for a new one.

    Attributes
    ----------
    grad : ndarray of shape lead + (P,)
        The latest gradient.
    scratch : ndarray of shape lead + (P,)
        Free for use between calls.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        params: Array,
        penalty: L2,
        dropout: Dropout | None = None,
        generators: Sequence[np.random.Generator] = (),
        layout: Layout | None = None,
        grad: Array | None = None,
    ) -> None:
        self.spec = spec
        self.params = params
        self.penalty = penalty
        self._dropout, self._generators = dropout, generators
        self.grad = empty_buffer(params.shape, params.dtype) if grad is None else grad
        self.scratch = empty_buffer(params.shape, params.dtype)
        self._workspaces: dict[int, Workspace] = {}
        self._of_some: dict[tuple[int, int], Objective] = {}
        layout = spec.layout if layout is None else layout
        self._views, self._grad_views = layout.bind(params), layout.bind(self.grad)
        lead = params.shape[:-1]
        self._layers = [weights.reshape((*lead, -1)) for weights in self._views.weights]

    def write_norms(self, out: Array) -> None:
        """Write the squared norm of each layer's weights, of shape lead + (layers,)."""
        squared_norms(self._layers, out)

    def gradient(self, batch: Batch, terms: Array, norms: Array) -> None:
        """Write the gradient of a batch to ``grad``, and what its value depends on.

        Parameters
        ----------
        batch : Batch
        terms : ndarray of shape lead + (batch, n_terms)
            Receives the terms of the loss.
        norms : ndarray of shape lead + (layers,)
            Receives the squared norm of each layer's weights, for the penalty.
        """
        self.write_norms(norms)
        self.sum_gradient(batch, terms)
        self.finish_gradient(batch)

    def sum_gradient(self, batch: Batch | UnequalBatch, terms: Array) -> None:
        """Write the gradient of the loss, summed over the rows and without the penalty."""
        if isinstance(batch, UnequalBatch):
            for models, part in batch.parts:
                size = part.y.shape[1]
                self.of_models(models).sum_gradient(part, terms[models, :size])
            return
        spec, ws = self.spec, self._workspace(terms.shape[-2])
        raw = ws.outputs[-1]
        if self._dropout is not None:
            self._dropout.draw(batch.x, ws, self._generators)
        forward(batch.x, self._views, spec, ws)
        spec.loss.backward(raw, batch.y, terms, spec.output_activation, ws)
        delta = raw  # the loss turned it into delta
        if batch.weight is not None:
            multiply(delta, batch.weight[..., None], delta)
        backward(batch.x, self._views, self._grad_views, spec, ws)

    def of_models(self, models: slice) -> Objective:
        """The objective of some models, along the leading axis; it shares the arrays of all."""
        key = models.start, models.stop
        if key not in self._of_some:
            n_models = len(self.params)
            self._of_some[key] = Objective(
                self.spec,
                self.params[models],
                some_models(self.penalty, models, n_models),
                some_models(self._dropout, models, n_models),
                self._generators[models],
                grad=self.grad[models],
            )
        return self._of_some[key]

    def finish_gradient(self, batch: Batch | UnequalBatch, segment: slice = ALL_PARAMETERS) -> None:
        """Add the penalty to a segment of the summed gradient, and divide by the total weight."""
        weights = self.weights_in(segment)
        start, size = segment.start or 0, weights.shape[-1]
        if size:
            self.penalty.add_gradient(
                weights, self.grad[..., start : start + size], self.scratch[..., :size]
            )
        grad = self.grad[..., segment]
        if batch.weight is None and batch.total.ndim == 0 and np.frexp(batch.total)[0] == 0.5:
            # A power of two: multiplying by its inverse gives the same bits in half the time.
            multiply(grad, constant(1 / batch.total, grad.dtype), grad)
        else:
            divide(grad, batch.total, grad)

    def weights_in(self, segment: slice) -> Array:
        """The weights in a segment of the parameters: those that the penalty concerns."""
        start, stop, _ = segment.indices(self.params.shape[-1])
        return self.params[..., start : min(stop, self.spec.layout.n_weights)]

    def derivatives(self, rows: int) -> list[Array]:
        """f'(z) of each hidden layer, in the last batch of that many rows.

        Arrays of shape lead + (rows, width).
        """
        ws, derivatives = self._workspaces[rows], []
        in_use = ws.taken
        for output, activation in zip(ws.outputs[:-1], self.spec.activations, strict=True):
            derivative = np.ones_like(output)
            activation.backward(output, derivative, ws)
            derivatives.append(derivative)
        ws.rewind(in_use)
        return derivatives

    def value(self, terms: Array, y: Array, weight: Array | None, norms: Array, totals: Any) -> Any:
        """Penalised loss of batches of one size, of shape lead + (batches,).

        Parameters
        ----------
        terms : ndarray of shape lead + (batches, batch, n_terms)
        y, weight : ndarray of shape (..., batches, batch, ...)
        norms : ndarray of shape lead + (layers, batches)
        totals : float, or ndarray of shape (..., batches)
        """
        loss = self.spec.loss.value(terms, y, weight, self.spec.sizes[-1])
        return loss + self.penalty.value(norms, totals)

    def _workspace(self, rows: int) -> Workspace:
        """The buffers that all batches of that many rows share."""
        if rows not in self._workspaces:
            lead, dtype = self.params.shape[:-1], self.params.dtype
            self._workspaces[rows] = Workspace(self.spec.sizes, rows, lead, dtype)
        self._workspaces[rows].rewind()
        return self._workspaces[rows]
