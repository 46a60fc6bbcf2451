"""Setup: turn an estimator and its data into a :class:`FitTask`.

These functions read the estimator and do not change it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import column_or_1d, validate_data

from bpestimator.estimators.fitting import (
    Call,
    Earlier,
    EpochListener,
    FitTask,
    HeldOut,
    Problem,
    network_attributes,
)
from bpestimator.estimators.parameters import Settings
from bpestimator.estimators.targets import Targets, check_weights
from bpestimator.nn import NetworkSpec, Views, initial_parameters

Validation = tuple[Any, Any, Any]
NO_VALIDATION: Validation = (None, None, None)


@dataclass(frozen=True)
class Validated:
    """Data that scikit-learn has checked.

    Attributes
    ----------
    X : ndarray or sparse matrix of shape (n, features)
    y : ndarray or sparse matrix
    weight : ndarray of shape (n,) or None
    attributes : dict
        ``n_features_in_`` and, if X has column names, ``feature_names_in_``.
    warnings : list of Warning
        Warnings about the data, to be issued later.
    """

    X: Any
    y: Any
    weight: np.ndarray | None
    attributes: dict[str, Any]
    warnings: list[Warning]


def shallow_copy(est: Any) -> Any:
    """A copy that shares all attributes; ``copy.copy`` takes ten times as long."""
    view: Any = object.__new__(type(est))
    view.__dict__.update(est.__dict__)
    return view


def validate(est: Any, X: Any, y: Any, sample_weight: Any, call: Call) -> Validated:
    """Check the data of a call as scikit-learn does.

    Raises
    ------
    ValueError
        For data that ``fit`` does not take.
    """
    first = call.fresh or not hasattr(est, "n_features_in_")
    probe = shallow_copy(est) if first else est  # a first validation sets attributes
    X, y, warnings = _validated(probe, X, y, reset=first)
    names = ("n_features_in_", "feature_names_in_")
    known_attributes = {name: vars(probe)[name] for name in names if name in vars(probe)}
    return Validated(X, y, check_weights(sample_weight, X.shape[0]), known_attributes, warnings)


def _validated(est: Any, X: Any, y: Any, *, reset: bool) -> tuple[Any, Any, list[Warning]]:
    X, y = validate_data(
        est,
        X,
        y,
        accept_sparse=["csr", "csc"],
        multi_output=True,
        y_numeric=est._y_numeric,
        dtype=(np.float64, np.float32),
        reset=reset,
    )
    if y.ndim == 1 or y.shape[1] > 1:
        return X, y, []
    warning = DataConversionWarning(
        "A column-vector y was passed when a 1d array was expected. Pass y.ravel(): its "
        f"shape {y.shape} is taken as ({len(y)},)."
    )
    return X, column_or_1d(y), [warning]


def problem_of(
    est: Any,
    settings: Settings,
    call: Call,
    data: Validated,
    *,
    classes: np.ndarray | None = None,
    validation: Validation = NO_VALIDATION,
) -> Problem:
    """The problem of training on all rows.

    The network is new if ``call.fresh``; otherwise it is the fitted one.

    Raises
    ------
    ValueError
        For a y that the loss does not take, or data that do not match the fitted network.
    """
    X, y = data.X, data.y
    dtype = X.dtype if call.fresh else _dtype_of_coefs(est)
    X = X.astype(dtype, copy=False)
    targets = est._targets_of(y, settings, call, classes)
    encoded = targets.encode(y, dtype)
    weight = targets.weights(y, data.weight)
    rng = check_random_state(est.random_state)
    if call.fresh:
        spec, params = new_network(settings, X.shape[1], targets, rng, dtype)
    else:
        spec, params = _fitted_network(est, settings, X.shape[1], targets, dtype)
    warnings = targets.warnings(y)
    held_out = _held_out(est, validation, data, targets, dtype, warnings, counted=y)
    return Problem(spec, X, y, targets, encoded, weight, params, rng, held_out, warnings=warnings)


def problem_of_rows(
    est: Any,
    settings: Settings,
    data: Validated,
    rows: np.ndarray,
    validation: Validation,
) -> Problem:
    """The problem of training a new network on some rows of the data.

    The same problem as that of ``fit(X[rows], y[rows], X_val=X[validation_rows], ...)``, except
    that X is not copied.

    Raises
    ------
    ValueError
        As :func:`problem_of`.
    """
    y, weight = data.y[rows], None if data.weight is None else data.weight[rows]
    targets = est._targets_of(y, settings, Call(), None)
    rng = check_random_state(est.random_state)
    encoded = _scatter(targets.encode(y, data.X.dtype), rows, data.X.shape[0])
    weight = targets.weights(y, check_weights(weight, rows.size))
    spec, params = new_network(settings, data.X.shape[1], targets, rng, data.X.dtype)
    warnings = targets.warnings(y)
    held_out = _held_out(est, validation, data, targets, data.X.dtype, warnings, counted=y)
    return Problem(
        spec,
        data.X,
        data.y,
        targets,
        encoded,
        None if weight is None else _scatter(weight, rows, data.X.shape[0]),
        params,
        rng,
        held_out,
        rows=rows,
        warnings=warnings,
    )


def _scatter(values: np.ndarray, rows: np.ndarray, n_rows: int) -> np.ndarray:
    """An array of ``n_rows`` rows: ``values`` at ``rows``, 0 elsewhere."""
    scattered = np.zeros((n_rows, *values.shape[1:]), values.dtype)
    scattered[rows] = values
    return scattered


def new_network(
    settings: Settings,
    n_features: int,
    targets: Targets,
    rng: np.random.RandomState,
    dtype: Any,
) -> tuple[NetworkSpec, np.ndarray]:
    """A network and its initial parameters."""
    spec = _spec(settings, (n_features, *settings.hidden_sizes, targets.n_outputs), targets)
    gains = settings.init_gains(spec.activations)
    return spec, initial_parameters(spec.layout, settings.initializer, gains, rng, dtype)


def _fitted_network(
    est: Any, settings: Settings, n_features: int, targets: Targets, dtype: Any
) -> tuple[NetworkSpec, np.ndarray]:
    """The network that ``coefs_`` and ``intercepts_`` describe, and its parameters."""
    spec = _spec(settings, _sizes_to_continue(est, settings, n_features, targets), targets)
    return spec, spec.layout.pack(est.coefs_, est.intercepts_, dtype)


def _spec(settings: Settings, sizes: tuple[int, ...], targets: Targets) -> NetworkSpec:
    activations = settings.activations(len(sizes) - 2)
    return NetworkSpec(sizes, activations, targets.loss, targets.output_activation)


def _held_out(
    est: Any,
    validation: Validation,
    data: Validated,
    targets: Targets,
    dtype: Any,
    warnings: list[Warning],
    counted: Any,
) -> HeldOut | None:
    """The validation rows that the user passed, or None. Appends to ``warnings``.

    ``counted`` is the y of the rows trained on, for weights that follow from its classes.
    """
    X_val, y_val, weight_val = validation
    if X_val is None and y_val is None:
        if weight_val is not None:
            raise ValueError(
                "sample_weight_val needs X_val and y_val, the rows that it weights: pass all three."
            )
        return None
    if X_val is None or y_val is None:
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(f"X_val and y_val must be passed together. {missing} is missing.")
    probe = shallow_copy(est)
    vars(probe).pop("feature_names_in_", None)  # of an earlier fit
    vars(probe).update(data.attributes)
    try:
        X_val, y_val, y_warnings = _validated(probe, X_val, y_val, reset=False)
        weight = check_weights(weight_val, X_val.shape[0])
        targets.check_held_out(y_val)
        encoded = targets.encode(y_val, dtype)
    except ValueError as error:
        raise ValueError(f"X_val, y_val or sample_weight_val cannot be used: {error}") from error
    warnings += [*y_warnings, *targets.warnings(y_val)]
    X_val = X_val.astype(dtype, copy=False)
    X_val = X_val if isinstance(X_val, np.ndarray) else X_val.tocsr()
    return HeldOut(X_val, y_val, encoded, targets.weights(y_val, weight, counted=counted))


def task_of(
    est: Any,
    settings: Settings,
    call: Call,
    data: Validated,
    problem: Problem,
    listener: EpochListener | None = None,
) -> FitTask:
    """The task of one call, which holds all that a solver needs."""
    earlier = Earlier(
        has_model=hasattr(est, "coefs_"),
        samples=int(getattr(est, "t_", 0)),
        memory=est._memory or {},
        attributes={name: value for name, value in vars(est).items() if name.endswith("_")},
    )
    known_attributes = {**data.attributes, **problem.targets.attributes}

    def model_at(params: np.ndarray) -> Any:
        """A copy of the estimator with these parameters.

        It takes validated rows, which are plain arrays without column names.
        """
        model = shallow_copy(est)
        vars(model).update(known_attributes, **network_attributes(problem.spec, params))
        vars(model).pop("feature_names_in_", None)
        return model

    return FitTask(settings, call, problem, earlier, known_attributes, model_at, listener)


def _dtype_of_coefs(est: Any) -> Any:
    """The smallest float type that holds ``coefs_`` and ``intercepts_``."""
    return np.result_type(np.float32, *map(np.asarray, [*est.coefs_, *est.intercepts_]))


def _sizes_to_continue(
    est: Any, settings: Settings, n_features: int, targets: Targets
) -> tuple[int, ...]:
    """Units per layer of ``coefs_``, checked against the data and the parameters."""
    sizes = sizes_of(layers_of(est))
    wanted, n_outputs = settings.hidden_sizes, targets.n_outputs
    built = wanted if est._memory is None else est._memory["hidden_layer_sizes"]
    if wanted not in (built, sizes[1:-1]):
        raise ValueError(
            f"hidden_layer_sizes={settings.hidden_layer_sizes!r} cannot continue the network "
            f"that was fitted with hidden_layer_sizes={built}. Set it back, or fit a new network "
            "with warm_start=False."
        )
    if (sizes[0], sizes[-1]) != (n_features, n_outputs):
        raise ValueError(
            f"coefs_ is for {sizes[0]} features and {sizes[-1]} outputs, but X has {n_features} "
            f"features and y needs {n_outputs} outputs. Pass data of the same shape, or fit a new "
            "network with warm_start=False."
        )
    return sizes


def layers_of(est: Any) -> Views:
    """``coefs_`` and ``intercepts_`` as arrays. The user may have set lists."""
    return Views([np.asarray(W) for W in est.coefs_], [np.asarray(b) for b in est.intercepts_])


def sizes_of(layers: Views) -> tuple[int, ...]:
    """Units per layer; ValueError if the shapes of successive layers do not match."""
    shapes = [weights.shape for weights in layers.weights]
    widths = [biases.shape for biases in layers.biases]
    sizes = (*shapes[0][:1], *chain(*widths)) if shapes else ()
    if len(sizes) < 2 or list(pairwise(sizes)) != shapes:
        raise ValueError(
            "Every layer of coefs_ must be of shape (fan_in, fan_out), with as many columns "
            "as its intercepts_ has entries and as the next layer has rows. Got coefs_ of "
            f"shapes {shapes} and intercepts_ of shapes {widths}."
        )
    return sizes
