"""Optimizers: how a gradient becomes a change of the parameters.

Each is one declared object: ``init`` makes what it remembers, a dict of arrays and numbers
that can be pickled, printed and resumed, and ``bind`` makes the step. Steps work elementwise
on flat arrays of shape ``lead + (P,)``, so that one model and many are the same code.

Hyperparameters are floats, or arrays of shape ``lead + (1,)`` with one value per model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar

import numpy as np
from numpy import add, divide, multiply, subtract
from numpy import sqrt as root

from bpestimator.nn.layout import Array, zeros_buffer

OptimizerState = dict[str, Any]
Step = Callable[[Any], None]


@dataclass(frozen=True)
class Optimizer:
    """How parameters follow the gradient."""

    name: ClassVar[str]

    def init(self, params: Array) -> OptimizerState:
        """What is remembered before the first step."""
        raise NotImplementedError

    def bind(self, params: Array, grads: Array, state: OptimizerState, scratch: Array) -> Step:
        """A step that changes ``params`` and ``state`` in place and uses up the rest.

        Parameters
        ----------
        params, grads, scratch : ndarray of shape lead + (P,)
        state : dict

        Returns
        -------
        callable
            Takes the learning rate, a float or an ndarray of shape lead + (1,).
        """
        raise NotImplementedError


def _constant(value: Any, params: Array) -> Array:
    """A hyperparameter as an array, so that it neither widens float32 nor costs a conversion."""
    return np.asarray(value, params.dtype)


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    v <- momentum v - rate g;  params <- params + v, or with Nesterov's look-ahead
    params <- params + momentum v - rate g.

    v : velocity; g : gradient.

    Source: Sutskever, Martens, Dahl and Hinton, ICML 2013, section 2.

    Parameters
    ----------
    momentum : float, default=0.9
        Share of the velocity kept from step to step, in [0, 1].
    nesterov : bool, default=True
    """

    momentum: Any = 0.9
    nesterov: bool = True

    name = "sgd"

    def init(self, params: Array) -> OptimizerState:
        return {"velocity": zeros_buffer(params.shape, params.dtype)}

    def bind(self, params: Array, grads: Array, state: OptimizerState, scratch: Array) -> Step:
        velocity = state["velocity"]
        momentum = _constant(self.momentum, params)

        def step(rate: Any) -> None:
            multiply(grads, _constant(rate, params), grads)
            multiply(velocity, momentum, velocity)
            subtract(velocity, grads, velocity)
            if self.nesterov:
                multiply(velocity, momentum, scratch)
                subtract(scratch, grads, scratch)
                add(params, scratch, params)
            else:
                add(params, velocity, params)

        return step


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adaptive moments: steps of about the learning rate, whatever the gradient's scale.

    m <- beta_1 m + (1 - beta_1) g;  v <- beta_2 v + (1 - beta_2) g^2;  t <- t + 1;
    params <- params - rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon).

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

    def init(self, params: Array) -> OptimizerState:
        m, v = (zeros_buffer(params.shape, params.dtype) for _ in range(2))
        return {"m": m, "v": v, "t": 0}

    def bind(self, params: Array, grads: Array, state: OptimizerState, scratch: Array) -> Step:
        m, v = state["m"], state["v"]
        beta_1, rest_1 = _constant(self.beta_1, params), _constant(1 - self.beta_1, params)
        beta_2, rest_2 = _constant(self.beta_2, params), _constant(1 - self.beta_2, params)
        epsilon = _constant(self.epsilon, params)

        def step(rate: Any) -> None:
            state["t"] = t = state["t"] + 1
            corrected = _bias_corrected(rate, self.beta_1, self.beta_2, t, params.dtype)

            multiply(m, beta_1, m)
            multiply(grads, rest_1, scratch)
            add(m, scratch, m)

            multiply(v, beta_2, v)
            multiply(grads, grads, grads)
            multiply(grads, rest_2, grads)
            add(v, grads, v)

            root(v, scratch)
            add(scratch, epsilon, scratch)
            multiply(m, corrected, grads)
            divide(grads, scratch, grads)
            subtract(params, grads, params)

        return step


def _bias_corrected(rate: Any, beta_1: Any, beta_2: Any, t: int, dtype: Any) -> Any:
    """rate sqrt(1 - beta_2^t) / (1 - beta_1^t): undoes that m and v begin at zero."""
    if isinstance(rate, float):
        return rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)
    # Entry by entry with C's pow: NumPy's vectorised one may differ in the last bit.
    one_by_one = np.vectorize(_bias_corrected, otypes=[float], excluded=[3, 4])
    return one_by_one(rate, beta_1, beta_2, t, dtype).astype(dtype)


OPTIMIZERS: Mapping[str, type[Optimizer]] = {kind.name: kind for kind in (SGD, Adam)}
