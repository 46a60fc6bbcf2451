"""Settings: the parameters of an estimator, checked once, before anything is computed.

Each parameter is one field of a Settings class. The metadata of the field are

- ``rule``: which values are allowed;
- ``stackable``: whether networks that differ in it may train as one array, see
  :mod:`bpestimator.lockstep`;
- ``shapes_start``: whether such networks differ in targets, initial weights or random numbers;
- ``unused_by_lbfgs``: for which values 'lbfgs' warns that it does not use the parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from functools import cached_property, lru_cache
from math import inf
from numbers import Integral, Real
from typing import Any, ClassVar, TypeVar

from bpestimator.estimators._sklearn_compat import InvalidParameterError
from bpestimator.estimators.parameters import resolve
from bpestimator.estimators.parameters.hints import hint
from bpestimator.estimators.parameters.rules import (
    Choice,
    ClassWeight,
    Declared,
    DropoutRates,
    Flag,
    LayerSizes,
    Number,
    RandomSource,
    Rule,
    Scoring,
    Verbosity,
    is_list,
)
from bpestimator.nn import (
    ACTIVATIONS,
    CLASSIFICATION_LOSSES,
    INITIALIZERS,
    LOSSES,
    OUTPUT_ACTIVATIONS,
    REGRESSION_LOSSES,
    Activation,
    CustomLoss,
    Initializer,
    Loss,
)
from bpestimator.training import (
    L2,
    OPTIMIZERS,
    SCHEDULES,
    Constant,
    Dropout,
    Optimizer,
    Schedule,
    Stopping,
    TrainingRules,
)

# The schedules that scikit-learn has: its MLP, too, ignores them with 'lbfgs' and does not warn.
UNUSED_WITHOUT_WARNING = ("constant", "invscaling", "adaptive")

Self = TypeVar("Self", bound="Settings")


def _never(value: Any) -> bool:
    return False


def _is_set(value: Any) -> bool:
    return value is not None


def _has_dropout(value: Any) -> bool:
    return any(value) if is_list(value) else bool(value)


def parameter(
    rule: Rule,
    *,
    stackable: bool = False,
    shapes_start: bool = False,
    unused_by_lbfgs: Callable[[Any], bool] = _never,
) -> Any:
    """A field of Settings. The docstring of this module explains the arguments."""
    return field(
        metadata={
            "rule": rule,
            "stackable": stackable,
            "shapes_start": shapes_start,
            "unused_by_lbfgs": unused_by_lbfgs,
        }
    )


def _loss_rule(table: Mapping[str, Loss], example: str) -> Declared:
    suitable = (*map(type, table.values()), CustomLoss)
    others = (type(loss) for loss in LOSSES.values() if not isinstance(loss, suitable))
    own = "CustomLoss(function, derivative)"
    return Declared(tuple(table), Loss, example, own, refused=tuple(others))


@dataclass(frozen=True)
class Settings:
    """The parameters that both estimators have.

    Fields hold what the user has set. Properties and methods return what that resolves to.
    """

    hidden_layer_sizes: Any = parameter(LayerSizes())
    activation: Any = parameter(
        Declared(
            tuple(ACTIVATIONS),
            Activation,
            "LeakyReLU(slope=0.1)",
            own="CustomActivation(function, derivative)",
            per_layer=True,
        )
    )
    solver: Any = parameter(
        Declared(("lbfgs", *OPTIMIZERS), Optimizer, "AdamW(weight_decay=0.1)"), stackable=True
    )
    alpha: Any = parameter(Number(Real, 0), stackable=True)
    batch_size: Any = parameter(Number(Integral, 1, also=("auto",)))
    learning_rate: Any = parameter(
        Declared(
            tuple(SCHEDULES),
            Schedule,
            "OneCycle(peak=0.2)",
            number=Number(Real, 0, closed="neither"),
        ),
        stackable=True,
        unused_by_lbfgs=lambda value: value not in UNUSED_WITHOUT_WARNING,
    )
    learning_rate_init: Any = parameter(
        Number(Real, 0, closed="neither", also=("auto",)),
        stackable=True,
        unused_by_lbfgs=lambda value: value == "auto",
    )
    power_t: Any = parameter(Number(Real, 0), stackable=True)
    max_iter: Any = parameter(Number(Integral, 1))
    shuffle: Any = parameter(Flag())
    random_state: Any = parameter(RandomSource(), stackable=True, shapes_start=True)
    tol: Any = parameter(Number(Real, 0))
    verbose: Any = parameter(Verbosity())
    warm_start: Any = parameter(Flag())
    momentum: Any = parameter(Number(Real, 0, 1, closed="both"), stackable=True)
    nesterovs_momentum: Any = parameter(Flag())
    early_stopping: Any = parameter(Flag())
    validation_fraction: Any = parameter(Number(Real, 0, 1))
    beta_1: Any = parameter(Number(Real, 0, 1), stackable=True)
    beta_2: Any = parameter(Number(Real, 0, 1), stackable=True)
    epsilon: Any = parameter(Number(Real, 0, closed="neither"), stackable=True)
    n_iter_no_change: Any = parameter(Number(Integral, 1, also=(inf,)))
    max_fun: Any = parameter(Number(Integral, 1))
    dropout: Any = parameter(DropoutRates(), stackable=True, unused_by_lbfgs=_has_dropout)
    weight_init: Any = parameter(Declared(tuple(INITIALIZERS), Initializer, "Orthogonal(gain=1.4)"))
    max_grad_norm: Any = parameter(
        Number(Real, 0, closed="neither", also=(None,)), stackable=True, unused_by_lbfgs=_is_set
    )
    max_time: Any = parameter(Number(Real, 0, closed="neither", also=(None,)))
    scoring: Any = parameter(Scoring())
    diagnostics: Any = parameter(Flag(), unused_by_lbfgs=bool)
    loss: Any = parameter(_loss_rule(REGRESSION_LOSSES, "Huber(delta=1.5)"))

    losses: ClassVar[Mapping[str, Loss]] = REGRESSION_LOSSES
    predicts_numbers: ClassVar[bool] = True

    @classmethod
    def of(cls: type[Self], est: Any) -> Self:
        """The settings of an estimator.

        Raises
        ------
        InvalidParameterError
            For the first parameter that its rule does not allow, or that would be ignored because
            a solver or schedule object sets the same hyperparameter.
        """
        kind: Any = cls
        given = {}
        for name, rule in _rules_of(kind):
            given[name] = value = getattr(est, name)
            if not rule.allows(value):
                raise InvalidParameterError(
                    f"The {name!r} parameter of {type(est).__name__} must be {rule}. "
                    f"Got {value!r} instead.{hint(name, rule, value)}"
                )
        settings = cls(**given)
        for chooser in ("solver", "learning_rate"):
            settings._check_nothing_is_overruled(chooser)
        return settings

    def _check_nothing_is_overruled(self, chooser: str) -> None:
        """InvalidParameterError for a parameter that an object would overrule."""
        chosen = getattr(self, chooser)
        if not hasattr(chosen, "from_parameters"):
            return
        defaults = {one.name: one.default for one in _fields_of(chosen)}
        for name, own_name in chosen.from_parameters.items():
            value, own = getattr(self, name), getattr(chosen, own_name)
            if value not in (own, defaults[own_name]):
                raise InvalidParameterError(
                    f"{name}={value!r} would be ignored: {chooser}={chosen!r} sets it, too. "
                    f"Write {type(chosen).__name__}({own_name}={value!r}), or set "
                    f"{chooser}={chosen.name!r} to have {name} take effect."
                )

    def unused_by_lbfgs(self) -> list[str]:
        """The parameters that the user has set although 'lbfgs' does not use them."""
        return [
            one.name
            for one in fields(self)
            if one.metadata["unused_by_lbfgs"](getattr(self, one.name))
        ]

    # The network.

    @cached_property
    def hidden_sizes(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return resolve.hidden_sizes(self.hidden_layer_sizes)

    def activations(self, n_hidden: int) -> tuple[Activation, ...]:
        """The activation of each hidden layer; ValueError for a list of another length."""
        return resolve.activations_of(self.activation, n_hidden)

    def init_gains(self, activations: tuple[Activation, ...]) -> list[float]:
        """The initial gain of each layer."""
        return resolve.init_gains(self.activation, activations)

    @property
    def initializer(self) -> Initializer:
        """The initializer of the weights."""
        return INITIALIZERS[self.weight_init] if _is_word(self.weight_init) else self.weight_init

    @property
    def loss_object(self) -> Loss:
        """The loss, in its general form.

        For y with two classes or several labels, the targets replace it by its binary form.
        """
        return resolve.loss_of(self.loss, self.losses)

    # Training.

    @property
    def is_stochastic(self) -> bool:
        """Whether the solver takes a step for each batch."""
        return is_stochastic(self.solver)

    @cached_property
    def optimizer(self) -> Optimizer:
        """The optimizer, with the estimator's hyperparameters if the user has set a name.

        The hyperparameters become Python numbers: a NumPy scalar of another type would change the
        rounding of every step.
        """
        numbers = {
            name: float(getattr(self, name)) for name in ("momentum", "beta_1", "beta_2", "epsilon")
        }
        numbers["nesterovs_momentum"] = bool(self.nesterovs_momentum)
        return resolve.optimizer_of(self.solver, numbers)

    @cached_property
    def schedule(self) -> Schedule:
        """The schedule of the learning rate."""
        if isinstance(self.learning_rate, Schedule):
            return self.learning_rate
        kind = SCHEDULES[self.learning_rate] if _is_word(self.learning_rate) else Constant
        numbers = {"power_t": float(self.power_t)}
        return kind(**{own: numbers[name] for name, own in kind.from_parameters.items()})

    @property
    def rate_name(self) -> str:
        """The parameter that sets the initial learning rate."""
        is_schedule = isinstance(self.learning_rate, (str, Schedule))
        return "learning_rate_init" if is_schedule else "learning_rate"

    @property
    def initial_rate(self) -> float | None:
        """The initial learning rate; None if it is 'auto'."""
        value = getattr(self, self.rate_name)
        return None if _is_word(value) else float(value)

    def check_schedule(self, *, incremental: bool) -> None:
        """Check that the schedule suits the number of epochs.

        Raises
        ------
        ValueError
            If the schedule needs a last epoch, which ``partial_fit`` does not have, or more epochs.
        """
        if self.schedule.needs_horizon and incremental:
            raise ValueError(
                f"learning_rate={self.learning_rate!r} must know when training ends, which "
                "partial_fit cannot know. Use fit, or a schedule such as 'constant', 'invscaling' "
                "or 'exponential'."
            )
        if not incremental:
            self.schedule.check_length(int(self.max_iter))

    @property
    def penalty(self) -> L2:
        """The penalty on the weights."""
        return L2(float(self.alpha))

    @property
    def max_seconds(self) -> float:
        """The time limit of training; infinite if there is none."""
        return inf if self.max_time is None else float(self.max_time)

    def dropout_of(self, n_hidden: int) -> Dropout | None:
        """The dropout of ``n_hidden`` layers, or None; ValueError for a list of another length."""
        return resolve.dropout_of(self.dropout, n_hidden)

    def rules(self, n_hidden: int, *, incremental: bool = False) -> TrainingRules:
        """The rules of stochastic training.

        Parameters
        ----------
        n_hidden : int
            The number of hidden layers.
        incremental : bool, default=False
            Whether ``partial_fit`` trains.

        Raises
        ------
        ValueError
            For a schedule that does not suit the number of epochs, or dropout rates that do not
            match the layers.
        """
        self.check_schedule(incremental=incremental)
        return TrainingRules(
            optimizer=self.optimizer,
            schedule=self.schedule,
            penalty=self.penalty,
            stopping=Stopping(float(self.tol), float(self.n_iter_no_change)),
            max_epochs=1 if incremental else int(self.max_iter),
            max_grad_norm=inf if self.max_grad_norm is None else float(self.max_grad_norm),
            max_seconds=self.max_seconds,
            dropout=self.dropout_of(n_hidden),
            diagnostics=bool(self.diagnostics),
        )


@dataclass(frozen=True)
class RegressorSettings(Settings):
    """The parameters of BackpropRegressor."""

    output_activation: Any = parameter(Choice(("auto", *OUTPUT_ACTIVATIONS)))


@dataclass(frozen=True)
class ClassifierSettings(Settings):
    """The parameters of BackpropClassifier."""

    loss: Any = parameter(_loss_rule(CLASSIFICATION_LOSSES, "Focal(gamma=1.5)"))
    class_weight: Any = parameter(ClassWeight())
    label_smoothing: Any = parameter(Number(Real, 0, 1), stackable=True, shapes_start=True)

    losses: ClassVar[Mapping[str, Loss]] = CLASSIFICATION_LOSSES
    predicts_numbers: ClassVar[bool] = False


def is_stochastic(solver: Any) -> bool:
    """Whether a solver takes a step for each batch."""
    return not (_is_word(solver) and solver == "lbfgs")


def stochastic_solvers() -> tuple[str, ...]:
    """The names of the stochastic solvers."""
    return tuple(OPTIMIZERS)


def stackable_parameters(settings: Settings) -> set[str]:
    """The names of the parameters in which networks that train as one array may differ."""
    return {one.name for one in fields(settings) if one.metadata["stackable"]}


@lru_cache
def _rules_of(kind: Any) -> list[tuple[str, Rule]]:
    """The rule of each parameter, cached because the look-up costs a small fit noticeable time."""
    return [(one.name, one.metadata["rule"]) for one in fields(kind)]


def start_parameters(settings: Settings) -> tuple[str, ...]:
    """The stackable parameters that targets, initial weights or random numbers depend on."""
    return tuple(one.name for one in fields(settings) if one.metadata["shapes_start"])


def _fields_of(value: Any) -> tuple[Field[Any], ...]:
    """The fields of a dataclass; none for anything else."""
    return fields(value) if hasattr(type(value), "__dataclass_fields__") else ()


def _is_word(value: Any) -> bool:
    return isinstance(value, str)
