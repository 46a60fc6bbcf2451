"""The base class of optimizers, and updates that several of them share.

Each optimizer is one declared object. ``init`` returns its state, a dict of arrays and numbers,
which can be pickled. In each step, ``begin`` counts the step, ``decay`` shrinks weights, and
``step`` changes the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from bpestimator.nn.arrays import Array
from bpestimator.nn.declared import Declared
from bpestimator.nn.recording import add, constant, copyto, multiply

OptimizerState = dict[str, Any]


@dataclass(frozen=True)
class Optimizer(Declared):
    """An update rule.

    Attributes
    ----------
    name : str
        What users write, e.g. ``solver="adam"``.
    n_factors : int
        Numbers that scale a step.
    from_parameters : dict of str
        For a solver chosen by name: each parameter of the estimator that sets one of the fields,
        and that field, e.g. ``{"nesterovs_momentum": "nesterov"}``.
    scales_by_gradient_size : bool
        Whether a step's size does not depend on the scale of the gradient, so that good learning
        rates are small. Without such scaling they are larger.
    """

    recorded_methods = ("begin", "step", "decay")

    name: ClassVar[str]
    n_factors: ClassVar[int] = 1
    from_parameters: ClassVar[Mapping[str, str]] = {}
    scales_by_gradient_size: ClassVar[bool] = True

    def init(self, params: Array) -> OptimizerState:
        """The state before the first step."""
        raise self.must_define("init")

    def begin(self, state: OptimizerState, rate: Array, factor: Array) -> None:
        """Called once in a step: count it, and factor := the numbers that scale it.

        Parameters
        ----------
        state : dict
        rate : ndarray of shape lead + (1,)
            The learning rate, which may change before every step.
        factor : ndarray of shape lead + (n_factors,)
        """
        copyto(factor, rate)

    def step(
        self, params: Array, grads: Array, state: OptimizerState, factor: Array, scratch: Array
    ) -> None:
        """Change ``params`` and ``state`` in place; ``grads`` and ``scratch`` may be overwritten.

        Parameters
        ----------
        params, grads, scratch : ndarray of shape lead + (size,)
            All parameters, or a block of them.
        state : dict
            Its arrays have the same shape; its numbers are for :meth:`begin` to change.
        factor : ndarray of shape lead + (n_factors,)
        """
        raise self.must_define("step")

    def decay(self, weights: Array, rate: Array) -> None:
        """Weight decay before a step: shrink the weights, but not the biases.

        Parameters
        ----------
        weights : ndarray of shape lead + (size,)
        rate : ndarray of shape lead + (1,)
        """
        pass


def scalar_of_one(factor: Array) -> Array:
    """``factor``; for one model as a scalar, by which NumPy multiplies in half the time."""
    return factor.reshape(()) if factor.shape == (1,) else factor


def update_mean(mean: Array, grads: Array, beta: Any, scratch: Array) -> None:
    """mean <- beta mean + (1 - beta) g; scratch is overwritten."""
    multiply(mean, constant(beta, mean.dtype), mean)
    multiply(grads, constant(1 - beta, mean.dtype), scratch)
    add(mean, scratch, mean)


def update_mean_of_squares(mean: Array, grads: Array, beta: Any) -> None:
    """mean <- beta mean + (1 - beta) g^2; grads are overwritten."""
    multiply(mean, constant(beta, mean.dtype), mean)
    multiply(grads, grads, grads)
    multiply(grads, constant(1 - beta, mean.dtype), grads)
    add(mean, grads, mean)
