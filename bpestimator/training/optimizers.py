"""Optimizers: how a gradient becomes a change of the parameters.

Each is one declared object with three verbs. ``init`` makes what it remembers, a dict of arrays
and numbers that can be pickled, printed and resumed. ``begin`` counts a step, and ``step``
moves parameters; both yield their calls. All work is elementwise on flat arrays of shape
``lead + (P,)``, so that one model and many, or a block of a large array, are the same code.

Hyperparameters are floats, or arrays of shape ``lead + (1,)`` with one value per model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar

import numpy as np
from numpy import add, copyto, divide, multiply, subtract
from numpy import sqrt as root

from bpestimator.nn.layout import Array, zeros_buffer
from bpestimator.nn.tape import Calls, call, constant

OptimizerState = dict[str, Any]

# A step passes over parameters, gradient and moments a dozen times. Where they exceed the
# last-level cache, block after block is faster: by a fifth for 1e6 parameters, by a third for
# 4e6. Below, the calls saved are worth more.
BLOCKED_PARAMETERS = 750_000
BLOCK_PARAMETERS = 65_536


@dataclass(frozen=True)
class Optimizer:
    """How parameters follow the gradient."""

    name: ClassVar[str]

    def init(self, params: Array) -> OptimizerState:
        """What is remembered before the first step."""
        raise NotImplementedError

    def begin(self, state: OptimizerState, rate: Array, factor: Array) -> Calls:
        """Once a step: count it, and factor := what scales the step.

        Parameters
        ----------
        state : dict
        rate, factor : ndarray of shape lead + (1,)
            The learning rate, read anew at every step; and the like.
        """
        yield call(copyto, factor, rate)

    def step(
        self, params: Array, grads: Array, state: OptimizerState, factor: Array, scratch: Array
    ) -> Calls:
        """Change ``params`` and ``state`` in place; ``grads`` and ``scratch`` are used up.

        Parameters
        ----------
        params, grads, scratch : ndarray of shape lead + (size,)
            All parameters, or a block of them.
        state : dict
            Its arrays are of the same shape; its numbers are :meth:`begin`'s.
        factor : ndarray of shape lead + (1,)
        """
        raise NotImplementedError


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

    def step(
        self, params: Array, grads: Array, state: OptimizerState, factor: Array, scratch: Array
    ) -> Calls:
        velocity = state["velocity"]
        momentum = constant(self.momentum, params.dtype)

        yield call(multiply, grads, factor, grads)
        yield call(multiply, velocity, momentum, velocity)
        yield call(subtract, velocity, grads, velocity)
        if self.nesterov:
            yield call(multiply, velocity, momentum, scratch)
            yield call(subtract, scratch, grads, scratch)
            yield call(add, params, scratch, params)
        else:
            yield call(add, params, velocity, params)


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

    def begin(self, state: OptimizerState, rate: Array, factor: Array) -> Calls:
        yield call(self._correct, state, rate, factor)

    def step(
        self, params: Array, grads: Array, state: OptimizerState, factor: Array, scratch: Array
    ) -> Calls:
        m, v, dtype = state["m"], state["v"], params.dtype
        beta_1, rest_1 = constant(self.beta_1, dtype), constant(1 - self.beta_1, dtype)
        beta_2, rest_2 = constant(self.beta_2, dtype), constant(1 - self.beta_2, dtype)
        epsilon = constant(self.epsilon, dtype)

        yield call(multiply, m, beta_1, m)
        yield call(multiply, grads, rest_1, scratch)
        yield call(add, m, scratch, m)

        yield call(multiply, v, beta_2, v)
        yield call(multiply, grads, grads, grads)
        yield call(multiply, grads, rest_2, grads)
        yield call(add, v, grads, v)

        yield call(root, v, scratch)
        yield call(add, scratch, epsilon, scratch)
        yield call(multiply, m, factor, grads)
        yield call(divide, grads, scratch, grads)
        yield call(subtract, params, grads, params)

    def _correct(self, state: OptimizerState, rate: Array, factor: Array) -> None:
        """Count the step; factor := the rate that undoes that m and v begin at zero."""
        state["t"] = t = state["t"] + 1
        if rate.size == 1:
            factor[0] = _bias_corrected(rate.item(), self.beta_1, self.beta_2, t)
        else:
            factor[...] = np.vectorize(_bias_corrected)(rate, self.beta_1, self.beta_2, t)


def _bias_corrected(rate: float, beta_1: float, beta_2: float, t: int) -> float:
    # One by one with C's pow: NumPy's vectorised one may differ in the last bit.
    return rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)


def blocks(n_parameters: int) -> list[slice]:
    """The parts in which a step moves that many parameters: one, unless they are many."""
    if n_parameters < BLOCKED_PARAMETERS:
        return [slice(None)]
    starts = range(0, n_parameters, BLOCK_PARAMETERS)
    return [slice(start, start + BLOCK_PARAMETERS) for start in starts]


def block_of(state: OptimizerState, block: slice) -> OptimizerState:
    """The state of a block of parameters, its arrays views of the whole state's."""
    return {
        name: value[..., block] if isinstance(value, np.ndarray) else value
        for name, value in state.items()
    }


OPTIMIZERS: Mapping[str, type[Optimizer]] = {kind.name: kind for kind in (SGD, Adam)}
