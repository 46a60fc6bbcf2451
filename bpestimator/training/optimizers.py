"""Optimizers: update rules, which turn a gradient into a change of the parameters.

All are elementwise on flat arrays of shape ``lead + (P,)``, so that the same code serves one
model, many models, and a segment of a large array. Hyperparameters are floats, or arrays of shape
``lead + (1,)`` with one value per model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from math import sqrt as root
from typing import Any, ClassVar

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.nn.checks import check_flag, check_range
from bpestimator.nn.kernels.buffers import zeros_buffer
from bpestimator.nn.powers import exact_power
from bpestimator.nn.recording import (
    add,
    call,
    constant,
    divide,
    multiply,
    sqrt,
    subtract,
)
from bpestimator.training.optimizer import (
    Optimizer,
    OptimizerState,
    as_scalar_if_single,
    update_mean,
    update_mean_of_squares,
)


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    v := momentum v - rate g;  params := params + v, or with Nesterov's look-ahead
    params := params + momentum v - rate g.

    v : velocity; g : gradient.

    Source: Sutskever, Martens, Dahl and Hinton, ICML 2013, section 2.

    Parameters
    ----------
    momentum : float, default=0.9
        Share of the velocity that a step keeps, in [0, 1].
    nesterov : bool, default=True
    """

    momentum: Any = 0.9
    nesterov: bool = True

    name = "sgd"
    from_parameters: ClassVar[Mapping[str, str]] = {
        "momentum": "momentum",
        "nesterovs_momentum": "nesterov",
    }
    scales_by_gradient_size = False

    def __post_init__(self) -> None:
        check_range(self, "momentum", 0, 1, "[]")
        check_flag(self, "nesterov")

    def init(self, params: Array) -> OptimizerState:
        return {"velocity": zeros_buffer(params.shape, params.dtype)}

    def step(
        self, params: Array, grads: Array, state: OptimizerState, factor: Array, scratch: Array
    ) -> None:
        velocity = state["velocity"]
        momentum = constant(self.momentum, params.dtype)

        multiply(grads, as_scalar_if_single(factor), grads)
        multiply(velocity, momentum, velocity)
        subtract(velocity, grads, velocity)
        if self.nesterov:
            multiply(velocity, momentum, scratch)
            subtract(scratch, grads, scratch)
            add(params, scratch, params)
        else:
            add(params, velocity, params)


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adaptive moments: steps of about the learning rate, whatever the scale of the gradient.

    m := beta_1 m + (1 - beta_1) g;  v := beta_2 v + (1 - beta_2) g^2;  t := t + 1;
    params := params - rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon).

    m, v : running means of the gradient and of its square; t : steps taken; g : gradient.

    Source: Kingma and Ba, ICLR 2015 (arXiv 1412.6980), the efficient form that closes
    section 2; there epsilon is the paper's epsilon-hat.

    Parameters
    ----------
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the running means, in [0, 1).
    epsilon : float, default=1e-8
        Keeps the division finite; above 0.
    """

    beta_1: Any = 0.9
    beta_2: Any = 0.999
    epsilon: Any = 1e-8

    name = "adam"
    from_parameters: ClassVar[Mapping[str, str]] = {
        "beta_1": "beta_1",
        "beta_2": "beta_2",
        "epsilon": "epsilon",
    }

    def __post_init__(self) -> None:
        check_range(self, "beta_1", 0, 1)
        check_range(self, "beta_2", 0, 1)
        check_range(self, "epsilon", 0, inf, "()")

    def init(self, params: Array) -> OptimizerState:
        m, v = (zeros_buffer(params.shape, params.dtype) for _ in range(2))
        return {"m": m, "v": v, "t": 0}

    def begin(self, state: OptimizerState, rate: Array, factor: Array) -> None:
        one_by_one = rate.ndim == 1 or np.ndim(self.beta_1) or np.ndim(self.beta_2)
        if one_by_one:
            call(self._correct_each, state, rate, factor)
        else:
            # In float64, so that factor is rounded once: Python's numbers would become float32
            # beside a float32 array; arrays without dimensions do not.
            numbers = np.empty(()), np.empty(())
            call(self._correct_all, state, rate, factor, *numbers, np.empty(rate.shape))

    def step(
        self, params: Array, grads: Array, state: OptimizerState, factor: Array, scratch: Array
    ) -> None:
        m, v = state["m"], state["v"]
        update_mean(m, grads, self.beta_1, scratch)
        update_mean_of_squares(v, grads, self.beta_2)
        sqrt(v, scratch)
        add(scratch, constant(self.epsilon, params.dtype), scratch)
        multiply(m, as_scalar_if_single(factor), grads)
        divide(grads, scratch, grads)
        subtract(params, grads, params)

    def _correct_each(self, state: OptimizerState, rate: Array, factor: Array) -> None:
        """Count the step; factor := rate sqrt(1 - beta_2^t) / (1 - beta_1^t)."""
        state["t"] = t = state["t"] + 1
        if rate.ndim == 1:
            factor[0] = _bias_corrected(rate.item(), self.beta_1, self.beta_2, t)
        else:
            factor[...] = np.vectorize(_bias_corrected)(rate, self.beta_1, self.beta_2, t)

    def _correct_all(
        self,
        state: OptimizerState,
        rate: Array,
        factor: Array,
        of_v: Array,
        of_m: Array,
        scratch: Array,
    ) -> None:
        """The same for many models with the same betas."""
        state["t"] = t = state["t"] + 1
        of_v[()], of_m[()] = root(1 - self.beta_2**t), 1 - self.beta_1**t
        multiply(rate, of_v, scratch)
        divide(scratch, of_m, factor)


def _bias_corrected(rate: float, beta_1: float, beta_2: float, t: int) -> float:
    # One by one with C's pow: NumPy's vectorised power may differ in the last bit.
    return rate * root(1 - beta_2**t) / (1 - beta_1**t)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay.

    weights := (1 - rate weight_decay) weights;  then Adam's step. Adam divides the gradient of an
    L2 penalty by the gradient's size; here all weights shrink at the same rate. Biases do not.

    Source: Loshchilov and Hutter, ICLR 2019 (arXiv 1711.05101), algorithm 2.

    Parameters
    ----------
    beta_1, beta_2, epsilon : float
        As :class:`Adam`.
    weight_decay : float, default=0.01
        At least 0.
    """

    weight_decay: Any = 0.01

    name = "adamw"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "weight_decay", 0, inf)

    def decay(self, weights: Array, rate: Array) -> None:
        kept = np.empty(rate.shape, weights.dtype)
        multiply(rate, constant(self.weight_decay, weights.dtype), kept)
        subtract(constant(1, weights.dtype), kept, kept)
        multiply(weights, kept, weights)


@dataclass(frozen=True)
class NAdam(Adam):
    """Adam with Nesterov momentum.

    mu_t = beta_1 (1 - 0.96^(t momentum_decay) / 2);  with M_t the product of mu_1 ... mu_t,
    params := params - rate sqrt(1 - beta_2^t) ((1 - mu_t) g / (1 - M_t)
    + mu_(t+1) m / (1 - M_(t+1))) / (sqrt(v) + epsilon).

    m, v, g, t : as :class:`Adam`.

    Source: Dozat, ICLR 2016 workshop, algorithm 2 with its warm-up of mu.

    Parameters
    ----------
    beta_1, beta_2, epsilon : float
        As :class:`Adam`.
    momentum_decay : float, default=0.004
        How fast mu rises from beta_1 / 2 to beta_1; at least 0.
    """

    momentum_decay: Any = 0.004

    name = "nadam"
    n_factors = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "momentum_decay", 0, inf)

    def init(self, params: Array) -> OptimizerState:
        product = 1.0 if params.ndim == 1 else np.ones((*params.shape[:-1], 1))
        return {**super().init(params), "mu_product": product}

    def begin(self, state: OptimizerState, rate: Array, factor: Array) -> None:
        call(self._look_ahead, state, rate, factor)

    def step(
        self, params: Array, grads: Array, state: OptimizerState, factor: Array, scratch: Array
    ) -> None:
        m, dtype = state["m"], params.dtype
        ahead = np.empty_like(scratch)
        update_mean(m, grads, self.beta_1, scratch)
        multiply(grads, factor[..., :1], ahead)
        multiply(m, factor[..., 1:], scratch)
        add(ahead, scratch, ahead)
        update_mean_of_squares(state["v"], grads, self.beta_2)
        sqrt(state["v"], scratch)
        add(scratch, constant(self.epsilon, dtype), scratch)
        divide(ahead, scratch, ahead)
        subtract(params, ahead, params)

    def _look_ahead(self, state: OptimizerState, rate: Array, factor: Array) -> None:
        """Count the step; factor := what multiplies g and m."""
        state["t"] = t = state["t"] + 1
        mu, mu_next = (
            self.beta_1 * (1 - 0.5 * exact_power(0.96, n * self.momentum_decay)) for n in (t, t + 1)
        )
        state["mu_product"] = product = state["mu_product"] * mu
        scale = rate * np.sqrt(1 - exact_power(self.beta_2, t))
        factor[..., :1] = scale * (1 - mu) / (1 - product)
        factor[..., 1:] = scale * mu_next / (1 - product * mu_next)


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Steps divided by the root of the running mean of squared gradients.

    v := rho v + (1 - rho) g^2;  params := params - rate g / (sqrt(v) + epsilon);  g : gradient.

    Source: Hinton, lecture 6e of "Neural networks for machine learning" (2012).

    Parameters
    ----------
    rho : float, default=0.9
        Decay of the running mean, in [0, 1).
    epsilon : float, default=1e-8
        Above 0.
    """

    rho: Any = 0.9
    epsilon: Any = 1e-8

    name = "rmsprop"
    from_parameters: ClassVar[Mapping[str, str]] = {"epsilon": "epsilon"}

    def __post_init__(self) -> None:
        check_range(self, "rho", 0, 1)
        check_range(self, "epsilon", 0, inf, "()")

    def init(self, params: Array) -> OptimizerState:
        return {"v": zeros_buffer(params.shape, params.dtype)}

    def step(
        self, params: Array, grads: Array, state: OptimizerState, factor: Array, scratch: Array
    ) -> None:
        multiply(grads, as_scalar_if_single(factor), scratch)
        update_mean_of_squares(state["v"], grads, self.rho)
        _divided_step(params, scratch, state["v"], self.epsilon, grads)


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients, which only grows.

    s := s + g^2;  params := params - rate g / (sqrt(s) + epsilon);  g : gradient.

    Source: Duchi, Hazan and Singer, JMLR 12 (2011), section 1.

    Parameters
    ----------
    epsilon : float, default=1e-8
        Above 0.
    """

    epsilon: Any = 1e-8

    name = "adagrad"
    from_parameters: ClassVar[Mapping[str, str]] = {"epsilon": "epsilon"}

    def __post_init__(self) -> None:
        check_range(self, "epsilon", 0, inf, "()")

    def init(self, params: Array) -> OptimizerState:
        return {"s": zeros_buffer(params.shape, params.dtype)}

    def step(
        self, params: Array, grads: Array, state: OptimizerState, factor: Array, scratch: Array
    ) -> None:
        s = state["s"]
        multiply(grads, as_scalar_if_single(factor), scratch)
        multiply(grads, grads, grads)
        add(s, grads, s)
        _divided_step(params, scratch, s, self.epsilon, grads)


def _divided_step(params: Array, change: Array, v: Array, epsilon: Any, scratch: Array) -> None:
    """params := params - change / (sqrt(v) + epsilon); change and scratch are overwritten."""
    sqrt(v, scratch)
    add(scratch, constant(epsilon, v.dtype), scratch)
    divide(change, scratch, change)
    subtract(params, change, params)


OPTIMIZERS: Mapping[str, type[Optimizer]] = {
    kind.name: kind for kind in (SGD, Adam, AdamW, NAdam, RMSprop, Adagrad)
}
