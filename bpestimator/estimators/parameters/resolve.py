"""Resolve: turn names and numbers that the user sets into the objects that training takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bpestimator.estimators.parameters.rules import is_list
from bpestimator.nn import (
    ACTIVATIONS,
    OUTPUT_ACTIVATIONS,
    Activation,
    Loss,
)
from bpestimator.training import OPTIMIZERS, Dropout, Optimizer

# batch_size='auto' means this many rows, as in scikit-learn, or all rows if there are fewer.
AUTO_BATCH_SIZE = 200


def hidden_sizes(value: Any) -> tuple[int, ...]:
    """``hidden_layer_sizes`` as a tuple."""
    return tuple(map(int, value)) if is_list(value) else (int(value),)


def activations_of(activation: Any, n_hidden: int) -> tuple[Activation, ...]:
    """The activation of each hidden layer.

    Parameters
    ----------
    activation : str, Activation, or a list of these
    n_hidden : int
        The number of hidden layers.

    Raises
    ------
    ValueError
        If a list does not have one activation per hidden layer.
    """
    if isinstance(activation, (str, Activation)):
        return (_activation(activation),) * n_hidden
    if len(activation) != n_hidden:
        raise ValueError(
            f"activation={activation!r} names {len(activation)} activations for {n_hidden} hidden "
            "layers: give one per hidden layer, or one for all of them."
        )
    return tuple(map(_activation, activation))


def _activation(one: str | Activation) -> Activation:
    return ACTIVATIONS[one] if isinstance(one, str) else one


def init_gains(activation: Any, activations: Sequence[Activation]) -> list[float]:
    """The initial gain of each layer.

    The output layer takes the gain of the last hidden layer; without hidden layers, that of
    ``activation``, or of 'relu' if ``activation`` is a list.
    """
    if activations:
        return [one.init_gain for one in (*activations, activations[-1])]
    is_one = isinstance(activation, (str, Activation))
    return [(_activation(activation) if is_one else ACTIVATIONS["relu"]).init_gain]


def loss_of(loss: str | Loss, losses: Mapping[str, Loss]) -> Loss:
    """The loss: an object as it is, a name looked up in ``losses``."""
    return losses[loss] if isinstance(loss, str) else loss


def output_activation_of(name: str, loss: Loss) -> Activation:
    """The output activation of a regressor.

    Parameters
    ----------
    name : str
        'auto' takes the one that suits the loss.
    loss : Loss

    Raises
    ------
    ValueError
        If the output activation has values that the loss does not take as predictions.
    """
    if name == "auto":
        return loss.output_activation
    chosen = OUTPUT_ACTIVATIONS[name]
    low, high = loss.predictions
    if chosen.bounds[0] < low or chosen.bounds[1] > high:
        suitable = [
            other_name
            for other_name, other in OUTPUT_ACTIVATIONS.items()
            if low <= other.bounds[0] and other.bounds[1] <= high
        ]
        raise ValueError(
            f"loss={loss.name!r} needs predictions between {low:g} and {high:g}, but "
            f"output_activation={name!r} has values between {chosen.bounds[0]:g} "
            f"and {chosen.bounds[1]:g}. Choose 'auto', or one of {suitable}."
        )
    return loss.output_activation_with(chosen)


def optimizer_of(solver: Any, numbers: dict[str, Any]) -> Optimizer:
    """The optimizer: an object as it is, a name with the estimator's hyperparameters.

    Parameters
    ----------
    solver : str or Optimizer
    numbers : dict
        The hyperparameters that the estimator has, by name; an optimizer takes those it needs.
    """
    if isinstance(solver, Optimizer):
        return solver
    kind = OPTIMIZERS[solver]
    return kind(**{field: numbers[name] for name, field in kind.from_parameters.items()})


def dropout_of(rates: Any, n_hidden: int) -> Dropout | None:
    """The dropout of each layer; None if every rate is 0.

    Parameters
    ----------
    rates : float or list of float
        One rate for all hidden layers, or a list with one rate per hidden layer, which may have
        the rate of the features in front.
    n_hidden : int
        The number of hidden layers.

    Raises
    ------
    ValueError
        If a list has another length.
    """
    if not is_list(rates):
        each = (0.0, *[float(rates)] * n_hidden)
    elif len(rates) in (n_hidden, n_hidden + 1):
        each = (0.0,) * (n_hidden + 1 - len(rates)) + tuple(map(float, rates))
    else:
        raise ValueError(
            f"dropout={rates!r} has {len(rates)} rates for {n_hidden} hidden layers: "
            "give one per hidden layer, or the rate of the features and then these, or one number "
            "for all hidden layers."
        )
    dropout = Dropout(each)
    return dropout if dropout.is_on else None


def batch_size_of(batch_size: int | str, n_rows: int) -> int:
    """The rows of a batch, for the parameter ``batch_size`` and ``n_rows`` training rows."""
    return min(AUTO_BATCH_SIZE if isinstance(batch_size, str) else int(batch_size), n_rows)
