"""From what users write, names and numbers and objects, to what the network and training take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bpestimator.estimators.parameters.rules import is_list
from bpestimator.nn import (
    ACTIVATIONS,
    OUTPUT_ACTIVATIONS,
    Activation,
    Increasing,
    Loss,
)
from bpestimator.training import OPTIMIZERS, Dropout, Optimizer


def hidden_sizes(value: Any) -> tuple[int, ...]:
    """``hidden_layer_sizes`` as a tuple."""
    return tuple(map(int, value)) if is_list(value) else (int(value),)


def activations_of(activation: Any, n_hidden: int) -> tuple[Activation, ...]:
    """The activation of each hidden layer.

    Raises
    ------
    ValueError
        If a list has another length.
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
    """The initial gain of each layer; the output layer has that of the layer below."""
    if activations:
        return [one.init_gain for one in (*activations, activations[-1])]
    is_one = isinstance(activation, (str, Activation))
    return [(_activation(activation) if is_one else ACTIVATIONS["relu"]).init_gain]


def loss_of(loss: str | Loss, losses: Mapping[str, Loss]) -> Loss:
    """The loss that a name among ``losses`` stands for; an object is one."""
    return losses[loss] if isinstance(loss, str) else loss


def output_activation_of(name: str, loss: Loss) -> Activation:
    """What a regressor's raw outputs go through.

    Raises
    ------
    ValueError
        If its values are outside the predictions that the loss takes.
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
            f"output_activation={name!r} gives some between {chosen.bounds[0]:g} "
            f"and {chosen.bounds[1]:g}. Choose 'auto', or one of {suitable}."
        )
    return Increasing(chosen) if loss.outputs_of(1) > 1 else chosen


def optimizer_of(solver: Any, numbers: dict[str, Any]) -> Optimizer:
    """The optimizer that ``solver`` names, with those of the estimator's numbers that it has."""
    if isinstance(solver, Optimizer):
        return solver
    kind = OPTIMIZERS[solver]
    return kind(**{field: numbers[name] for name, field in kind.from_parameters.items()})


def dropout_of(rates: Any, n_hidden: int) -> Dropout | None:
    """What training leaves out; None where nothing is.

    Raises
    ------
    ValueError
        If a list has neither a rate per hidden layer nor one more.
    """
    if not is_list(rates):
        each = (0.0, *[float(rates)] * n_hidden)
    elif len(rates) in (n_hidden, n_hidden + 1):
        each = (0.0,) * (n_hidden + 1 - len(rates)) + tuple(map(float, rates))
    else:
        raise ValueError(
            f"dropout={rates!r} has {len(rates)} rates for {n_hidden} hidden layers: "
            "give one per hidden layer, or one more, the features' first, or one for all."
        )
    dropout = Dropout(each)
    return dropout if dropout.is_on else None
