"""Dropout: in training, set random inputs of a layer to 0, so that no unit relies on another.

Each entry of a layer's inputs is kept with probability 1 - rate and then divided by that, which
keeps its mean, so that prediction needs no change:

    a := a * m / (1 - rate),  m = 1 where u >= rate, else 0,  u uniform in [0, 1).

The backward pass multiplies delta by the same mask. The u of a model come from its own generator:
they depend neither on the rate nor on the models that train in lockstep with it.

Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, JMLR 15 (2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.nn.kernels.buffers import buffer_like, empty_buffer
from bpestimator.nn.kernels.products import SparseRows
from bpestimator.nn.kernels.workspace import Workspace
from bpestimator.nn.network import Inputs
from bpestimator.nn.recording import call, constant, greater_equal, multiply


@dataclass(frozen=True)
class Dropout:
    """The dropout rate of each layer's inputs.

    Parameters
    ----------
    rates : tuple of float, or of ndarray of shape lead + (1,)
        In [0, 1); the first is that of the features.
    """

    rates: tuple[Any, ...]

    @property
    def is_on(self) -> bool:
        """Whether any rate is above 0."""
        return any(np.any(rate) for rate in self.rates)

    def draw(self, x: Inputs, ws: Workspace, generators: Sequence[np.random.Generator]) -> None:
        """Draw the masks of ``ws`` for the rows ``x``, with a generator for each model."""
        distinct = list(dict.fromkeys(generators))
        for k, rate in enumerate(self.rates):
            if not np.any(rate):
                continue
            if isinstance(x, SparseRows) and k == 0:
                call(_drop_entries, x, rate, *distinct)
                continue
            inputs = x if k == 0 else ws.outputs[k - 1]
            assert isinstance(inputs, np.ndarray)
            lead = np.shape(rate)[:-1] if len(distinct) == 1 else (len(generators),)
            mask = ws.mask(k, inputs, lead)
            which = [distinct.index(generator) for generator in generators]
            _draw_mask(rate, mask, distinct, np.array(which))


def _draw_mask(rate: Any, mask: Array, generators: list[np.random.Generator], which: Array) -> None:
    """mask := m / (1 - rate); ``which`` has the index of each model's generator."""
    noise = empty_buffer((len(generators), *mask.shape[-2:]), np.float32)
    for generator, drawn in zip(generators, noise, strict=True):
        call(generator.random, None, np.float32, drawn)
    if len(generators) == 1:
        noise = noise[0]
    else:
        by_generator, noise = noise, empty_buffer(mask.shape, np.float32)
        call(by_generator.take, which, 0, noise, "clip")
    kept = buffer_like(mask, bool)
    rate = rate[..., None] if np.ndim(rate) else rate
    greater_equal(noise, constant(rate, np.float32), kept)
    multiply(kept, constant(1 / (1 - np.asarray(rate)), mask.dtype), mask)


def _drop_entries(x: SparseRows, rate: float, generator: np.random.Generator) -> None:
    """Dropout of a sparse matrix, whose entries of 0 need none."""
    matrix = x.matrix.copy()
    kept = generator.random(matrix.data.size, np.float32) >= np.float32(rate)
    matrix.data *= kept / matrix.dtype.type(1 - rate)
    x.matrix = matrix
