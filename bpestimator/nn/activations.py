"""Activations: how a layer bends its input, and how that bend scales the error.

Each is one declared object: the function and its derivative stand side by side, both work
in place on arrays of shape ``(..., batch, width)`` and keep the dtype. The derivative is
written in terms of the output ``a = f(z)``, so ``z`` need not be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy import greater, maximum, multiply, subtract, tanh
from scipy.special import expit

from bpestimator.nn.layout import Array, Shape, empty_buffer, zeros_buffer


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

    def scratch(self, shape: Shape, dtype: Any) -> Any:
        """Buffers that the two functions below need for arrays of this shape."""
        return None

    def forward(self, z: Array, scratch: Any) -> None:
        """z := f(z)."""
        raise NotImplementedError

    def backward(self, a: Array, delta: Array, scratch: Any) -> None:
        """delta := delta * f'(z), where a = f(z)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Identity(Activation):
    """f(z) = z;  f'(z) = 1.  With it a deep network is still a linear model."""

    name = "identity"

    def forward(self, z: Array, scratch: Any) -> None:
        pass

    def backward(self, a: Array, delta: Array, scratch: Any) -> None:
        pass


@dataclass(frozen=True)
class Logistic(Activation):
    """f(z) = 1 / (1 + exp(-z)), in (0, 1);  f' = a (1 - a).

    Source: Rumelhart, Hinton and Williams, Nature 323 (1986), eq. 2. ``expit`` neither
    overflows nor loses digits in the tails.
    """

    name = "logistic"
    gain = 2.0

    def scratch(self, shape: Shape, dtype: Any) -> Array:
        return empty_buffer(shape, dtype)

    def forward(self, z: Array, scratch: Array) -> None:
        expit(z, z)

    def backward(self, a: Array, delta: Array, scratch: Array) -> None:
        multiply(delta, a, delta)
        subtract(1.0, a, scratch)
        multiply(delta, scratch, delta)


@dataclass(frozen=True)
class Tanh(Activation):
    """f(z) = tanh(z), in (-1, 1);  f' = 1 - a^2."""

    name = "tanh"

    def scratch(self, shape: Shape, dtype: Any) -> Array:
        return empty_buffer(shape, dtype)

    def forward(self, z: Array, scratch: Array) -> None:
        tanh(z, z)

    def backward(self, a: Array, delta: Array, scratch: Array) -> None:
        multiply(a, a, scratch)
        subtract(1.0, scratch, scratch)
        multiply(delta, scratch, delta)


@dataclass(frozen=True)
class Relu(Activation):
    """f(z) = max(0, z);  f'(z) = 1 where z > 0, else 0.

    Source: Nair and Hinton, ICML 2010.
    """

    name = "relu"

    def scratch(self, shape: Shape, dtype: Any) -> tuple[Array, Array]:
        # NumPy's maximum of two arrays takes half the time of that of an array and a
        # scalar; a product with a boolean mask takes a third of an assignment through it.
        return zeros_buffer(shape, dtype), empty_buffer(shape, bool)

    def forward(self, z: Array, scratch: tuple[Array, Array]) -> None:
        zeros, _ = scratch
        maximum(z, zeros, out=z)

    def backward(self, a: Array, delta: Array, scratch: tuple[Array, Array]) -> None:
        _, active = scratch
        greater(a, 0.0, active)
        multiply(delta, active, delta)


ACTIVATIONS: Mapping[str, Activation] = {
    activation.name: activation for activation in (Identity(), Logistic(), Tanh(), Relu())
}
