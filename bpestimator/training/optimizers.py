"""Optimizers: how a gradient becomes a change of the parameters.

Each is one declared object with two verbs, ``init`` and ``step``. Both work elementwise on
flat arrays of shape ``lead + (P,)``, so that one model and many are the same code. What an
optimizer remembers is a dict of arrays and numbers; it can be pickled, printed and resumed.

Hyperparameters are floats, or arrays of shape ``lead + (1,)`` with one value per model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bpestimator.nn.layout import Array

OptimizerState = dict[str, Any]


@dataclass(frozen=True)
class Optimizer:
    """How parameters follow the gradient."""

    name: ClassVar[str]

    def init(self, params: Array) -> OptimizerState:
        """What is remembered before the first step."""
        raise NotImplementedError

    def step(
        self, params: Array, grads: Array, state: OptimizerState, rate: Any, scratch: Array
    ) -> None:
        """Change ``params`` and ``state`` in place; ``grads`` and ``scratch`` are used up.

        Parameters
        ----------
        params, grads, scratch : ndarray of shape lead + (P,)
        state : dict
        rate : float, or ndarray of shape lead + (1,)
            The learning rate.
        """
        raise NotImplementedError


def _fit_dtype(value: Any, params: Array) -> Any:
    """A hyperparameter that does not widen float32 parameters to float64."""
    return float(value) if np.ndim(value) == 0 else np.asarray(value, params.dtype)


def _power(base: Any, exponent: int) -> Any:
    """base ** exponent by C's pow, the same for a float as for each entry of an array."""
    if np.ndim(base) == 0:
        return float(base) ** exponent
    return np.reshape([float(entry) ** exponent for entry in base.flat], base.shape)


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
        return {"velocity": np.zeros_like(params)}

    def step(
        self, params: Array, grads: Array, state: OptimizerState, rate: Any, scratch: Array
    ) -> None:
        velocity = state["velocity"]
        momentum = _fit_dtype(self.momentum, params)
        np.multiply(grads, _fit_dtype(rate, params), grads)
        np.multiply(velocity, momentum, velocity)
        np.subtract(velocity, grads, velocity)
        if self.nesterov:
            np.multiply(velocity, momentum, scratch)
            np.subtract(scratch, grads, scratch)
            np.add(params, scratch, params)
        else:
            np.add(params, velocity, params)


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
        return {"m": np.zeros_like(params), "v": np.zeros_like(params), "t": 0}

    def step(
        self, params: Array, grads: Array, state: OptimizerState, rate: Any, scratch: Array
    ) -> None:
        state["t"] = t = state["t"] + 1
        m, v = state["m"], state["v"]
        beta_1, beta_2 = self.beta_1, self.beta_2
        correction = rate * np.sqrt(1 - _power(beta_2, t)) / (1 - _power(beta_1, t))

        np.multiply(m, _fit_dtype(beta_1, params), m)
        np.multiply(grads, _fit_dtype(1 - beta_1, params), scratch)
        np.add(m, scratch, m)

        np.multiply(v, _fit_dtype(beta_2, params), v)
        np.multiply(grads, grads, grads)
        np.multiply(grads, _fit_dtype(1 - beta_2, params), grads)
        np.add(v, grads, v)

        np.sqrt(v, scratch)
        np.add(scratch, _fit_dtype(self.epsilon, params), scratch)
        np.multiply(m, _fit_dtype(correction, params), grads)
        np.divide(grads, scratch, grads)
        np.subtract(params, grads, params)


OPTIMIZERS: Mapping[str, type[Optimizer]] = {kind.name: kind for kind in (SGD, Adam)}
