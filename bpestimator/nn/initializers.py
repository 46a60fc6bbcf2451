"""Initializers: distributions of the initial weights and biases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from bpestimator.nn.arrays import Array, Shape
from bpestimator.nn.checks import check_range
from bpestimator.nn.declared import Declared
from bpestimator.nn.kernels.buffers import zeros_buffer
from bpestimator.nn.parameters import Layout


class Source(Protocol):
    """A source of random numbers, such as ``numpy.random.RandomState`` and ``Generator``."""

    def uniform(self, low: float, high: float, size: Shape | int) -> Array: ...

    def normal(self, loc: float, scale: float, size: Shape | int) -> Array: ...


@dataclass(frozen=True)
class Initializer(Declared):
    """The distribution of a layer's initial weights; its biases are 0 unless overridden.

    Attributes
    ----------
    name : str
        What users write, e.g. ``weight_init="he_normal"``.
    """

    name: ClassVar[str]

    def weights(self, fan_in: int, fan_out: int, init_gain: float, source: Source) -> Array:
        """Weights of shape (fan_in, fan_out); ``init_gain`` is the activation's."""
        raise self.must_define("weights")

    def biases(self, fan_in: int, fan_out: int, init_gain: float, source: Source) -> Array:
        """Biases of shape (fan_out,)."""
        return np.zeros(fan_out)


@dataclass(frozen=True)
class ScikitLearn(Initializer):
    """Weights and biases uniform in [-r, r],  r = sqrt(init_gain / (fan_in + fan_out)).

    The gain is 6, or 2 for logistic units. The order of draws is scikit-learn's, so that a seed
    gives the same network in both.

    Source: Glorot and Bengio, AISTATS 2010, eq. 16.
    """

    name = "auto"

    def weights(self, fan_in: int, fan_out: int, init_gain: float, source: Source) -> Array:
        bound = float(np.sqrt(init_gain / (fan_in + fan_out)))
        return source.uniform(-bound, bound, (fan_in, fan_out))

    def biases(self, fan_in: int, fan_out: int, init_gain: float, source: Source) -> Array:
        bound = float(np.sqrt(init_gain / (fan_in + fan_out)))
        return source.uniform(-bound, bound, fan_out)


@dataclass(frozen=True)
class _Scaled(Initializer):
    """Independent weights of mean 0, uniform or normal.

    Parameters
    ----------
    distribution : {'uniform', 'normal'}, default='uniform'
    """

    distribution: str = "uniform"

    family: ClassVar[str]

    def __post_init__(self) -> None:
        if self.distribution not in ("uniform", "normal"):
            raise ValueError(
                f"The distribution of {type(self).__name__} must be 'uniform' or 'normal'. "
                f"Got {self.distribution!r}."
            )

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.family}_{self.distribution}"

    def variance(self, fan_in: int, fan_out: int) -> float:
        """The variance of each weight."""
        raise self.must_define("variance")

    def weights(self, fan_in: int, fan_out: int, init_gain: float, source: Source) -> Array:
        deviation = float(np.sqrt(self.variance(fan_in, fan_out)))
        if self.distribution == "normal":
            return source.normal(0.0, deviation, (fan_in, fan_out))
        bound = float(np.sqrt(3.0)) * deviation
        return source.uniform(-bound, bound, (fan_in, fan_out))


@dataclass(frozen=True)
class Glorot(_Scaled):
    """Variance 2 / (fan_in + fan_out), biases 0: keeps the variance of outputs and of deltas.

    Source: Glorot and Bengio, AISTATS 2010, eq. 12; meant for tanh.

    Parameters
    ----------
    distribution : {'uniform', 'normal'}, default='uniform'
    """

    family = "glorot"

    def variance(self, fan_in: int, fan_out: int) -> float:
        return 2 / (fan_in + fan_out)


@dataclass(frozen=True)
class He(_Scaled):
    """Variance 2 / fan_in, biases 0: doubled, since relu sets half of its inputs to 0.

    Source: He, Zhang, Ren and Sun, ICCV 2015 (arXiv 1502.01852), eq. 10.

    Parameters
    ----------
    distribution : {'uniform', 'normal'}, default='uniform'
    """

    family = "he"

    def variance(self, fan_in: int, fan_out: int) -> float:
        return 2 / fan_in


@dataclass(frozen=True)
class LeCun(_Scaled):
    """Variance 1 / fan_in, biases 0: the choice for selu.

    Source: LeCun, Bottou, Orr and Müller, "Efficient BackProp" (1998), eq. 16.

    Parameters
    ----------
    distribution : {'uniform', 'normal'}, default='uniform'
    """

    family = "lecun"

    def variance(self, fan_in: int, fan_out: int) -> float:
        return 1 / fan_in


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """gain times a random matrix of orthonormal columns (or rows, if those are fewer); biases 0.

    The Q of the QR decomposition of a normal matrix, its columns signed by the diagonal of R.

    Source: Saxe, McClelland and Ganguli, ICLR 2014 (arXiv 1312.6120).

    Parameters
    ----------
    gain : float, default=1.0
        Above 0.
    """

    gain: float = 1.0

    name = "orthogonal"

    def __post_init__(self) -> None:
        check_range(self, "gain", 0, np.inf, "()")

    def weights(self, fan_in: int, fan_out: int, init_gain: float, source: Source) -> Array:
        long, short = max(fan_in, fan_out), min(fan_in, fan_out)
        q, r = np.linalg.qr(source.normal(0.0, 1.0, (long, short)))
        columns = self.gain * q * np.where(np.diag(r) < 0, -1.0, 1.0)
        return columns if fan_in >= fan_out else columns.T


def initial_parameters(
    layout: Layout,
    initializer: Initializer,
    init_gains: float | Sequence[float],
    source: Source,
    dtype: Any,
) -> Array:
    """A flat array of shape (n_parameters,), drawn layer by layer, weights before biases.

    Drawn in float64, then rounded to ``dtype``.

    Parameters
    ----------
    layout : Layout
    initializer : Initializer
    init_gains : float, or a sequence of one per layer
    source : RandomState or Generator
    dtype : dtype
    """
    flat = zeros_buffer(layout.n_parameters, dtype)
    views = layout.bind(flat)
    each_gain = np.broadcast_to(init_gains, len(views.weights))
    for init_gain, weights, biases in zip(each_gain, views.weights, views.biases, strict=True):
        fan_in, fan_out = weights.shape
        weights[...] = initializer.weights(fan_in, fan_out, init_gain, source)
        biases[...] = initializer.biases(fan_in, fan_out, init_gain, source)
    return flat


INITIALIZERS: Mapping[str, Initializer] = {
    initializer.name: initializer
    for initializer in (
        ScikitLearn(),
        *(kind(spread) for kind in (Glorot, He, LeCun) for spread in ("uniform", "normal")),
        Orthogonal(),
    )
}
