"""Activations: the function of each unit, and its derivative for backpropagation.

Each is one declared object: the function and its derivative stand side by side, both work
in place on arrays of shape ``(..., batch, width)`` and keep the dtype. Where the derivative
can be written in terms of the output ``a = f(z)``, ``z`` need not be kept; where it cannot,
``forward`` leaves the derivative in a buffer of the workspace for ``backward``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, pi
from math import sqrt as root
from typing import ClassVar

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.nn.checks import check_functions, check_range
from bpestimator.nn.declared import Declared
from bpestimator.nn.kernels.buffers import in_runs
from bpestimator.nn.kernels.workspace import Workspace
from bpestimator.nn.recording import (
    add,
    call,
    constant,
    copyto,
    exp,
    expit,
    expm1,
    greater,
    logaddexp,
    maximum,
    minimum,
    multiply,
    ndtr,
    negative,
    sign,
    subtract,
    tanh,
)


@dataclass(frozen=True)
class Activation(Declared):
    """An elementwise function f and its derivative.

    Attributes
    ----------
    name : str
        What users write, e.g. ``activation="tanh"``.
    init_gain : float
        g in the bound sqrt(g / (fan_in + fan_out)) of the uniform initial weights.
    bounds : tuple of float
        The lowest and the highest f(z).
    """

    recorded_methods = ("forward", "backward")
    renamed: ClassVar[Mapping[str, str]] = {"gain": "init_gain"}

    name: ClassVar[str]
    init_gain: ClassVar[float] = 6.0
    bounds: ClassVar[tuple[float, float]] = (-inf, inf)

    def forward(self, z: Array, ws: Workspace) -> None:
        """z := f(z)."""
        raise self.must_define("forward")

    def backward(self, a: Array, delta: Array, ws: Workspace) -> None:
        """delta := delta * f'(z), where a = f(z).

        ``a`` may be overwritten, if a second call would still find f'(z) from it.
        """
        raise self.must_define("backward")


@dataclass(frozen=True)
class Identity(Activation):
    """f(z) = z;  f'(z) = 1.  A deep network of such units is a linear model."""

    name = "identity"

    def forward(self, z: Array, ws: Workspace) -> None:
        pass

    def backward(self, a: Array, delta: Array, ws: Workspace) -> None:
        pass


@dataclass(frozen=True)
class Logistic(Activation):
    """f(z) = 1 / (1 + exp(-z)), in (0, 1);  f' = a (1 - a).

    Source: Rumelhart, Hinton and Williams, Nature 323 (1986), eq. 2. ``expit`` neither
    overflows nor loses digits in the tails.
    """

    name = "logistic"
    init_gain = 2.0
    bounds = (0.0, 1.0)

    def forward(self, z: Array, ws: Workspace) -> None:
        expit(z, z)

    def backward(self, a: Array, delta: Array, ws: Workspace) -> None:
        rest = ws.like(a)
        multiply(delta, a, delta)
        subtract(constant(1, a.dtype), a, rest)
        multiply(delta, rest, delta)


@dataclass(frozen=True)
class Tanh(Activation):
    """f(z) = tanh(z), in (-1, 1);  f' = 1 - a^2."""

    name = "tanh"
    bounds = (-1.0, 1.0)

    def forward(self, z: Array, ws: Workspace) -> None:
        tanh(z, z)

    def backward(self, a: Array, delta: Array, ws: Workspace) -> None:
        derivative = ws.like(a)
        multiply(a, a, derivative)
        subtract(constant(1, a.dtype), derivative, derivative)
        multiply(delta, derivative, delta)


@dataclass(frozen=True)
class ReLU(Activation):
    """f(z) = max(0, z);  f'(z) = 1 where z > 0, else 0.

    Source: Nair and Hinton, ICML 2010.
    """

    name = "relu"

    def forward(self, z: Array, ws: Workspace) -> None:
        # The maximum of two arrays takes NumPy half the time of the maximum of an array and a
        # number.
        z = in_runs(z)
        zeros = ws.zeros(z.shape[-1:], z.dtype)
        maximum(z, zeros, out=z)

    def backward(self, a: Array, delta: Array, ws: Workspace) -> None:
        # On the bits, read as unsigned integers: their sign is 1 where a > 0, else 0, and a
        # product with 0 is 0 even for an infinite delta. A boolean mask would need converting.
        # In place, half as much memory passes through the cache.
        a, delta = (array.view(f"u{a.itemsize}") for array in (a, delta))
        sign(a, a)
        multiply(delta, a, delta)


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """f(z) = z where z > 0, else slope z;  f'(z) = 1 where z > 0, else slope.

    Units with z < 0 still pass some of delta down, so that they can learn.

    Source: Maas, Hannun and Ng, ICML 2013 workshop on deep learning.

    Parameters
    ----------
    slope : float, default=0.01
        In [0, 1).
    """

    slope: float = 0.01

    name = "leaky_relu"

    def __post_init__(self) -> None:
        check_range(self, "slope", 0, 1)

    def forward(self, z: Array, ws: Workspace) -> None:
        leaked = ws.like(z)
        multiply(z, constant(self.slope, z.dtype), leaked)
        maximum(z, leaked, out=z)

    def backward(self, a: Array, delta: Array, ws: Workspace) -> None:
        active, derivative = ws.like(a, bool), ws.like(a)
        greater(a, constant(0, a.dtype), active)
        copyto(derivative, constant(self.slope, a.dtype))
        copyto(derivative, constant(1, a.dtype), where=active)
        multiply(delta, derivative, delta)


@dataclass(frozen=True)
class ELU(Activation):
    """f(z) = z where z > 0, else alpha (exp(z) - 1);  f' = 1 where z > 0, else a + alpha.

    Its outputs, in (-alpha, inf), are nearer to zero on average than those of relu.

    Source: Clevert, Unterthiner and Hochreiter, ICLR 2016 (arXiv 1511.07289), eq. 15.

    Parameters
    ----------
    alpha : float, default=1.0
        Above 0 and finite.
    """

    alpha: float = 1.0

    name = "elu"
    scale: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        check_range(self, "alpha", 0, inf, "()")

    def forward(self, z: Array, ws: Workspace) -> None:
        z = in_runs(z)
        zeros, below = ws.zeros(z.shape[-1:], z.dtype), ws.like(z)
        minimum(z, zeros, out=below)
        expm1(below, below)
        multiply(below, constant(self.alpha, z.dtype), below)
        maximum(z, zeros, out=z)
        add(z, below, z)
        if self.scale != 1:
            multiply(z, constant(self.scale, z.dtype), z)

    def backward(self, a: Array, delta: Array, ws: Workspace) -> None:
        active, derivative = ws.like(a, bool), ws.like(a)
        greater(a, constant(0, a.dtype), active)
        add(a, constant(self.scale * self.alpha, a.dtype), derivative)
        copyto(derivative, constant(self.scale, a.dtype), where=active)
        multiply(delta, derivative, delta)


@dataclass(frozen=True)
class SELU(ELU):
    """f(z) = 1.0507 elu(z) with alpha = 1.6733;  f' = 1.0507 where z > 0, else a + 1.7581.

    With these constants the outputs of deep layers keep mean 0 and variance 1.

    Source: Klambauer, Unterthiner, Mayr and Hochreiter, NeurIPS 2017 (arXiv 1706.02515), eq. 2.
    """

    alpha: ClassVar[float] = 1.6732632423543772  # type: ignore[misc]

    name = "selu"
    scale = 1.0507009873554805


@dataclass(frozen=True)
class Softplus(Activation):
    """f(z) = log(1 + exp(z)), in (0, inf);  f' = 1 - exp(-a).  A smooth relu.

    Source: Dugas, Bengio, Bélisle, Nadeau and Garcia, NeurIPS 2000.
    """

    name = "softplus"
    bounds = (0.0, inf)

    def forward(self, z: Array, ws: Workspace) -> None:
        logaddexp(z, constant(0, z.dtype), z)

    def backward(self, a: Array, delta: Array, ws: Workspace) -> None:
        derivative = ws.like(a)
        negative(a, derivative)
        expm1(derivative, derivative)
        negative(derivative, derivative)
        multiply(delta, derivative, delta)


@dataclass(frozen=True)
class _StoredDerivative(Activation):
    """An activation whose ``forward`` stores f'(z) in ``ws.derivative(z)``, unless that is None."""

    def backward(self, a: Array, delta: Array, ws: Workspace) -> None:
        multiply(delta, ws.derivative(a), delta)


@dataclass(frozen=True)
class GELU(_StoredDerivative):
    """f(z) = z P(z);  f'(z) = P(z) + z p(z), with the normal distribution P, its density p.

    Source: Hendrycks and Gimpel, 2016 (arXiv 1606.08415), section 2; exact, not by tanh.
    """

    name = "gelu"

    def forward(self, z: Array, ws: Workspace) -> None:
        probability, derivative = ws.like(z), ws.derivative(z)
        ndtr(z, probability)
        if derivative is not None:
            multiply(z, z, derivative)
            multiply(derivative, constant(-0.5, z.dtype), derivative)
            exp(derivative, derivative)
            multiply(derivative, constant(1 / root(2 * pi), z.dtype), derivative)
            multiply(derivative, z, derivative)
            add(derivative, probability, derivative)
        multiply(z, probability, z)


@dataclass(frozen=True)
class SiLU(_StoredDerivative):
    """f(z) = z s(z);  f'(z) = s (1 + z (1 - s)), with s(z) = 1 / (1 + exp(-z)).  Also "swish".

    Source: Elfwing, Uchibe and Doya, 2017 (arXiv 1702.03118), eq. 8.
    """

    name = "silu"

    def forward(self, z: Array, ws: Workspace) -> None:
        s, derivative, one = ws.like(z), ws.derivative(z), constant(1, z.dtype)
        expit(z, s)
        if derivative is not None:
            subtract(one, s, derivative)
            multiply(derivative, z, derivative)
            add(derivative, one, derivative)
            multiply(derivative, s, derivative)
        multiply(z, s, z)


@dataclass(frozen=True)
class Mish(_StoredDerivative):
    """f(z) = z t;  f'(z) = t + z s(z) (1 - t^2), with t = tanh(log(1 + exp(z))).

    s(z) = 1 / (1 + exp(-z)).

    Source: Misra, BMVC 2020 (arXiv 1908.08681), eq. 1.
    """

    name = "mish"

    def forward(self, z: Array, ws: Workspace) -> None:
        t, rest, derivative = ws.like(z), ws.like(z), ws.derivative(z)
        logaddexp(z, constant(0, z.dtype), t)
        tanh(t, t)
        if derivative is not None:
            expit(z, derivative)
            multiply(derivative, z, derivative)
            multiply(t, t, rest)
            subtract(constant(1, z.dtype), rest, rest)
            multiply(derivative, rest, derivative)
            add(derivative, t, derivative)
        multiply(z, t, z)


@dataclass(frozen=True)
class CustomActivation(_StoredDerivative):
    """An activation of your own.

    Parameters
    ----------
    function : callable
        f(z), elementwise, for an array of any shape. Pickling needs a function that can be
        imported, so not a lambda.
    derivative : callable
        f'(z), likewise.

    Examples
    --------
    >>> import numpy as np
    >>> from bpestimator import BackpropRegressor, CustomActivation
    >>> X = np.linspace(-3, 3, 40).reshape(-1, 1)
    >>> sine = CustomActivation(np.sin, np.cos)
    >>> reg = BackpropRegressor(activation=sine, solver="lbfgs", random_state=0)
    >>> reg.fit(X, np.sin(2 * X).ravel()).score(X, np.sin(2 * X)) > 0.99
    True
    """

    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]

    name = "custom"

    def __post_init__(self) -> None:
        check_functions(self, "function", "derivative")

    def forward(self, z: Array, ws: Workspace) -> None:
        derivative = ws.derivative(z)
        if derivative is not None:
            call(_fill, derivative, self.derivative, z, "derivative")
        call(_fill, z, self.function, z, "function")


def _fill(out: Array, function: Callable[[Array], Array], z: Array, what: str) -> None:
    values = function(z)
    if np.shape(values) != z.shape:
        raise ValueError(
            f"The {what} of a CustomActivation must return an array of its input's shape, "
            f"{z.shape}. Got {np.shape(values)}."
        )
    copyto(out, values, "same_kind")


ACTIVATIONS: Mapping[str, Activation] = {
    kind.name: kind()
    for kind in (Identity, Logistic, Tanh, ReLU, LeakyReLU, ELU, SELU, GELU, SiLU, Mish, Softplus)
}
