"""Workspace: every buffer that steps on batches of one size need, made once.

A workspace is scratch. It belongs to the call that made it, never to a fitted estimator,
and no view of it may leave that call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bpestimator.nn.layout import Array, Shape, empty_buffer

if TYPE_CHECKING:
    from bpestimator.nn.network import NetworkSpec


class Workspace:
    """Buffers for batches of ``rows`` rows.

    Attributes
    ----------
    outputs : list of ndarray of shape lead + (rows, width)
        a_1 ... a_L, each layer's outputs; the last are the raw outputs.
    deltas : list of ndarray
        d loss / d z_k, of the same shapes. The last *is* the raw outputs' buffer: a loss
        turns raw outputs into their delta in place. Meaningless if ``forward_only``.
    scratch : list
        What each layer's activation asks for.
    loss_scratch : object
        What the loss asks for.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        rows: int,
        lead: Shape = (),
        dtype: Any = np.float64,
        *,
        forward_only: bool = False,
    ) -> None:
        shapes = [(*lead, rows, width) for width in spec.layout.sizes[1:]]
        self.outputs: list[Array] = [empty_buffer(shape, dtype) for shape in shapes]
        self.deltas = self.outputs
        if not forward_only:
            hidden = [empty_buffer(shape, dtype) for shape in shapes[:-1]]
            self.deltas = [*hidden, self.outputs[-1]]
        self.scratch = [
            activation.scratch(shape, dtype)
            for activation, shape in zip(spec.layer_activations, shapes, strict=True)
        ]
        self.loss_scratch = spec.loss.scratch(shapes[-1], dtype)
