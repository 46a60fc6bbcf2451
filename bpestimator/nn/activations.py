"""Activations: how a layer bends its input, and how that bend scales the error.

Each is one declared object: the function and its derivative stand side by side, both work
in place on arrays of shape ``(..., batch, width)`` and keep the dtype. The derivative is
written in terms of the output ``a = f(z)``, so ``z`` need not be kept. Both yield their
calls (see :mod:`bpestimator.nn.tape`); what buffers they need they take from the workspace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from numpy import greater, maximum, multiply, subtract, tanh
from scipy.special import expit

from bpestimator.nn.layout import Array
from bpestimator.nn.tape import Calls, call, constant
from bpestimator.nn.workspace import Workspace


@dataclass(frozen=True)
class Activation:
    """An elementwise function f and its derivative.

    Attributes
    ----------
    name : str
        What users write, e.g. ``activation="tanh"``.
    gain : float
        g in the bound sqrt(g / (fan_in + fan_out)) of the uniform initial weights.
    """

    name: ClassVar[str]
    gain: ClassVar[float] = 6.0

    def forward(self, z: Array, ws: Workspace) -> Calls:
        """z := f(z)."""
        raise NotImplementedError

    def backward(self, a: Array, delta: Array, ws: Workspace) -> Calls:
        """delta := delta * f'(z), where a = f(z)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Identity(Activation):
    """f(z) = z;  f'(z) = 1.  With it a deep network is still a linear model."""

    name = "identity"

    def forward(self, z: Array, ws: Workspace) -> Calls:
        yield from ()

    def backward(self, a: Array, delta: Array, ws: Workspace) -> Calls:
        yield from ()


@dataclass(frozen=True)
class Logistic(Activation):
    """f(z) = 1 / (1 + exp(-z)), in (0, 1);  f' = a (1 - a).

    Source: Rumelhart, Hinton and Williams, Nature 323 (1986), eq. 2. ``expit`` neither
    overflows nor loses digits in the tails.
    """

    name = "logistic"
    gain = 2.0

    def forward(self, z: Array, ws: Workspace) -> Calls:
        yield call(expit, z, z)

    def backward(self, a: Array, delta: Array, ws: Workspace) -> Calls:
        rest = ws.empty(a.shape, a.dtype)
        yield call(multiply, delta, a, delta)
        yield call(subtract, constant(1, a.dtype), a, rest)
        yield call(multiply, delta, rest, delta)


@dataclass(frozen=True)
class Tanh(Activation):
    """f(z) = tanh(z), in (-1, 1);  f' = 1 - a^2."""

    name = "tanh"

    def forward(self, z: Array, ws: Workspace) -> Calls:
        yield call(tanh, z, z)

    def backward(self, a: Array, delta: Array, ws: Workspace) -> Calls:
        slope = ws.empty(a.shape, a.dtype)
        yield call(multiply, a, a, slope)
        yield call(subtract, constant(1, a.dtype), slope, slope)
        yield call(multiply, delta, slope, delta)


@dataclass(frozen=True)
class Relu(Activation):
    """f(z) = max(0, z);  f'(z) = 1 where z > 0, else 0.

    Source: Nair and Hinton, ICML 2010.
    """

    name = "relu"

    def forward(self, z: Array, ws: Workspace) -> Calls:
        # NumPy takes half the time for the maximum of two arrays that it takes for that of
        # an array and a number.
        zeros = ws.zeros(z.shape, z.dtype)
        yield call(maximum, z, zeros, out=z)

    def backward(self, a: Array, delta: Array, ws: Workspace) -> Calls:
        # A product with a mask takes a third of the time of an assignment through one.
        active = ws.empty(a.shape, bool)
        yield call(greater, a, constant(0, a.dtype), active)
        yield call(multiply, delta, active, delta)


ACTIVATIONS: Mapping[str, Activation] = {
    activation.name: activation for activation in (Identity(), Logistic(), Tanh(), Relu())
}
