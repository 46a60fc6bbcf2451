"""Options: where the words and numbers that users write become declared objects.

Every parameter is checked here, once, before anything is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import inf, nan
from numbers import Integral, Real
from typing import Any

import numpy as np

from bpestimator.estimators._rules import (
    Declared,
    DropoutRates,
    Flag,
    LayerSizes,
    Number,
    RandomSource,
    Scoring,
    Verbosity,
    is_list,
)
from bpestimator.estimators._sklearn_compat import InvalidParameterError
from bpestimator.nn import (
    ACTIVATIONS,
    CLASSIFICATION_LOSSES,
    INITIALIZERS,
    OUTPUT_ACTIVATIONS,
    REGRESSION_LOSSES,
    Activation,
    CustomLoss,
    Increasing,
    Initializer,
    Loss,
    Quantile,
)
from bpestimator.training import (
    L2,
    OPTIMIZERS,
    SCHEDULES,
    SGD,
    Adam,
    Dropout,
    Optimizer,
    Schedule,
    Stopping,
)
from bpestimator.training.schedules import Constant, InvScaling

STOCHASTIC_SOLVERS = tuple(OPTIMIZERS)
SOLVERS = ("lbfgs", *STOCHASTIC_SOLVERS)


@dataclass(frozen=True)
class RateOrSchedule:
    """A constant learning rate, or a schedule."""

    def allows(self, value: Any) -> bool:
        is_flag = isinstance(value, (bool, np.bool_))
        return _SCHEDULE.allows(value) or (_RATE.allows(value) and not is_flag)

    def __str__(self) -> str:
        return f"{_RATE} (a constant rate) or {_SCHEDULE}"


def _loss_rule(table: Mapping[str, Loss], example: str) -> Declared:
    kinds = (*map(type, table.values()), CustomLoss)
    own = "CustomLoss(function, derivative)"
    return Declared(tuple(table), Loss, example, own, among=kinds)


REGRESSION_LOSS = _loss_rule(REGRESSION_LOSSES, "Huber(delta=1.5)")
CLASSIFICATION_LOSS = _loss_rule(CLASSIFICATION_LOSSES, "Focal(gamma=1.5)")
_SCHEDULE = Declared(tuple(SCHEDULES), Schedule, "OneCycle(peak=0.2)")
_RATE = Number(Real, 0, closed="neither")

RULES: Mapping[str, Any] = {
    "hidden_layer_sizes": LayerSizes(),
    "activation": Declared(
        tuple(ACTIVATIONS),
        Activation,
        "LeakyReLU(slope=0.1)",
        own="CustomActivation(function, derivative)",
        per_layer=True,
    ),
    "solver": Declared(SOLVERS, Optimizer, "AdamW(weight_decay=0.1)"),
    "alpha": Number(Real, 0),
    "batch_size": Number(Integral, 1, also=("auto",)),
    "learning_rate": RateOrSchedule(),
    "learning_rate_init": Number(Real, 0, closed="neither", also=("auto",)),
    "power_t": Number(Real, 0),
    "max_iter": Number(Integral, 1),
    "shuffle": Flag(),
    "random_state": RandomSource(),
    "tol": Number(Real, 0),
    "verbose": Verbosity(),
    "warm_start": Flag(),
    "momentum": Number(Real, 0, 1, closed="both"),
    "nesterovs_momentum": Flag(),
    "early_stopping": Flag(),
    "validation_fraction": Number(Real, 0, 1),
    "beta_1": Number(Real, 0, 1),
    "beta_2": Number(Real, 0, 1),
    "epsilon": Number(Real, 0, closed="neither"),
    "n_iter_no_change": Number(Integral, 1, also=(inf,)),
    "max_fun": Number(Integral, 1),
    "dropout": DropoutRates(),
    "weight_init": Declared(tuple(INITIALIZERS), Initializer, "Orthogonal(gain=1.4)"),
    "max_grad_norm": Number(Real, 0, closed="neither", also=(None,)),
    "scoring": Scoring(),
    "diagnostics": Flag(),
    "max_time": Number(Real, 0, closed="neither", also=(None,)),
}


def check_parameters(est: Any, rules: Mapping[str, Any]) -> None:
    """Raise InvalidParameterError for the first parameter that breaks its rule."""
    for name, rule in rules.items():
        value = getattr(est, name)
        if not rule.allows(value):
            raise InvalidParameterError(
                f"The {name!r} parameter of {type(est).__name__} must be {rule}. "
                f"Got {value!r} instead." + _hint(name, rule, value)
            )
    _check_none_is_ignored(est)


# What an object brings along itself: its parameter, by the estimator's, and whose default they
# share.
_BROUGHT_ALONG: Mapping[str, Mapping[str, tuple[Any, str]]] = {
    "solver": {
        "momentum": (SGD, "momentum"),
        "nesterovs_momentum": (SGD, "nesterov"),
        "beta_1": (Adam, "beta_1"),
        "beta_2": (Adam, "beta_2"),
        "epsilon": (Adam, "epsilon"),
    },
    "learning_rate": {"power_t": (InvScaling, "power_t")},
}


def _check_none_is_ignored(est: Any) -> None:
    """Raise InvalidParameterError for a number that an object with its own would outvote."""
    for chooser, parameters in _BROUGHT_ALONG.items():
        chosen = getattr(est, chooser)
        for name, (kind, own_name) in parameters.items():
            own, value = getattr(chosen, own_name, None), getattr(est, name)
            if own is not None and value not in (own, getattr(kind, own_name)):
                raise InvalidParameterError(
                    f"{name}={value!r} would be ignored: {chooser}={chosen!r} has a number of its "
                    f"own. Write {type(chosen).__name__}({own_name}={value!r}), or set "
                    f"{chooser}={chosen.name!r} to have {name} take effect."
                )


def _hint(name: str, rule: Any, value: Any) -> str:
    """What the user may have meant."""
    if name == "loss" and isinstance(value, (int, tuple, list)):
        return " Write hidden_layer_sizes=...: the first argument of a regressor is its loss."
    declared = _SCHEDULE if isinstance(rule, RateOrSchedule) else rule
    if isinstance(declared, Declared):
        if isinstance(value, type) and issubclass(value, declared.kind):
            return f" Did you mean {value.__name__}()?"
        if callable(value) and declared.own:
            return f" For a function of your own, write {declared.own}."
    if not isinstance(value, str):
        return ""
    if name == "learning_rate" and value.lower() == "auto":
        return " Did you mean learning_rate_init='auto'?"
    try:
        number = float(value)
    except ValueError:
        number = nan
    if rule.allows(number):
        return f" Did you mean the number {value}, without quotes?"
    likely = get_close_matches(_OTHER_NAMES.get(value.lower(), value.lower()), _words(rule))
    return f" Did you mean {likely[0]!r}?" if likely else ""


_OTHER_NAMES = {
    "sigmoid": "logistic",
    "swish": "silu",
    "linear": "identity",
    "mae": "absolute_error",
    "l1": "absolute_error",
    "mse": "squared_error",
    "l2": "squared_error",
    "brier": "squared_error",
    "pinball": "quantile",
    "cross_entropy": "log_loss",
    "acc": "accuracy",
    "he": "he_normal",
    "kaiming": "he_normal",
    "xavier": "glorot_uniform",
}


def _words(rule: Any) -> tuple[str, ...]:
    """The words that a rule allows."""
    if isinstance(rule, RateOrSchedule):
        return tuple(SCHEDULES)
    words = getattr(rule, "names", getattr(rule, "also", ()))
    return tuple(word for word in words if isinstance(word, str))


def hidden_layer_sizes(value: Any) -> tuple[int, ...]:
    """``hidden_layer_sizes`` as a tuple."""
    return tuple(map(int, value)) if is_list(value) else (int(value),)


def activations_of(est: Any, n_hidden: int) -> tuple[Activation, ...]:
    """The declared activation of each hidden layer."""
    chosen = est.activation
    if isinstance(chosen, str):
        return (ACTIVATIONS[chosen],) * n_hidden
    if isinstance(chosen, Activation):
        return (chosen,) * n_hidden
    if len(chosen) != n_hidden:
        raise ValueError(
            f"activation={chosen!r} names {len(chosen)} activations for {n_hidden} hidden layers: "
            "give one per hidden layer, or one for all of them."
        )
    return tuple(ACTIVATIONS[one] if isinstance(one, str) else one for one in chosen)


def init_gains_of(est: Any, activations: tuple[Activation, ...]) -> list[float]:
    """The gain of each layer's initial weights; the output layer has that of the layer below."""
    if not activations:
        is_one = isinstance(est.activation, (str, Activation))
        activations = activations_of(est, 1) if is_one else (ACTIVATIONS["relu"],)
        return [activations[0].init_gain]
    return [activation.init_gain for activation in (*activations, activations[-1])]


def loss_of(est: Any) -> Loss:
    """The declared loss."""
    if isinstance(est.loss, Loss):
        return est.loss
    return {**REGRESSION_LOSSES, **CLASSIFICATION_LOSSES}[est.loss]


def output_activation_of(est: Any, loss: Loss) -> Activation:
    """What a regressor's raw outputs go through; ValueError if the loss cannot take it."""
    if est.output_activation == "auto":
        return loss.output_activation
    chosen = OUTPUT_ACTIVATIONS[est.output_activation]
    low, high = loss.predictions
    if chosen.bounds[0] < low or chosen.bounds[1] > high:
        suitable = [
            name
            for name, other in OUTPUT_ACTIVATIONS.items()
            if low <= other.bounds[0] and other.bounds[1] <= high
        ]
        raise ValueError(
            f"loss={est.loss!r} needs predictions between {low:g} and {high:g}, but "
            f"output_activation={est.output_activation!r} gives some between {chosen.bounds[0]:g} "
            f"and {chosen.bounds[1]:g}. Choose 'auto', or one of {suitable}."
        )
    several = isinstance(loss, Quantile) and len(loss.levels) > 1
    return Increasing(chosen) if several else chosen


def is_stochastic(est: Any) -> bool:
    """Whether the solver learns batch by batch."""
    return not (isinstance(est.solver, str) and est.solver == "lbfgs")


def optimizer_of(est: Any) -> Optimizer:
    """The declared optimizer; a name takes the estimator's numbers, as Python floats.

    A NumPy scalar of another dtype would change the last bits of every step.
    """
    if isinstance(est.solver, Optimizer):
        return est.solver
    kind: Any = OPTIMIZERS[est.solver]
    if issubclass(kind, SGD):
        return kind(float(est.momentum), bool(est.nesterovs_momentum))
    if issubclass(kind, Adam):
        return kind(float(est.beta_1), float(est.beta_2), float(est.epsilon))
    return kind(epsilon=float(est.epsilon))


def schedule_of(est: Any) -> tuple[float | None, Schedule]:
    """The initial learning rate, None if it is to be found, and the schedule that shapes it."""
    if not isinstance(est.learning_rate, (str, Schedule)):
        return float(est.learning_rate), Constant()
    is_auto = isinstance(est.learning_rate_init, str)
    initial = None if is_auto else float(est.learning_rate_init)
    if isinstance(est.learning_rate, Schedule):
        return initial, est.learning_rate
    kind = SCHEDULES[est.learning_rate]
    return initial, InvScaling(float(est.power_t)) if kind is InvScaling else kind()


def check_schedule(schedule: Schedule, est: Any, *, incremental: bool) -> None:
    """ValueError if the schedule cannot be followed."""
    if schedule.needs_horizon and incremental:
        raise ValueError(
            f"learning_rate={est.learning_rate!r} must know when training ends, which partial_fit "
            "does not. Use fit, or a schedule such as 'constant', 'invscaling' or 'exponential'."
        )
    if not incremental:
        schedule.check_length(int(est.max_iter))


def rate_name(est: Any) -> str:
    """The parameter that sets the learning rate."""
    is_schedule = isinstance(est.learning_rate, (str, Schedule))
    return "learning_rate_init" if is_schedule else "learning_rate"


def penalty_of(est: Any) -> L2:
    """The declared penalty."""
    return L2(float(est.alpha))


def initializer_of(est: Any) -> Initializer:
    """How the initial weights are drawn."""
    named = isinstance(est.weight_init, str)
    return INITIALIZERS[est.weight_init] if named else est.weight_init


def dropout_of(est: Any, n_hidden: int) -> Dropout | None:
    """What is left out, or None where nothing is."""
    if not is_list(est.dropout):
        rates = (0.0, *[float(est.dropout)] * n_hidden)
    elif len(est.dropout) in (n_hidden, n_hidden + 1):
        rates = (0.0,) * (n_hidden + 1 - len(est.dropout)) + tuple(map(float, est.dropout))
    else:
        raise ValueError(
            f"dropout={est.dropout!r} has {len(est.dropout)} rates for {n_hidden} hidden layers: "
            "give one per hidden layer, or one more, the features' first, or one for all."
        )
    dropout = Dropout(rates)
    return dropout if dropout.is_on else None


def max_grad_norm_of(est: Any) -> float:
    """The longest gradient allowed; infinite where there is no limit."""
    return inf if est.max_grad_norm is None else float(est.max_grad_norm)


def max_seconds_of(est: Any) -> float:
    """How long training may take; infinite where there is no limit."""
    return inf if est.max_time is None else float(est.max_time)


def stopping_of(est: Any) -> Stopping:
    """The declared stopping rule."""
    return Stopping(float(est.tol), float(est.n_iter_no_change))
