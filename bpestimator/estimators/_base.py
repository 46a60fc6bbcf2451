"""The base class of both estimators: fit a network to data, and predict with it.

Only this module sets fitted attributes, and only after training has succeeded: a call that fails
leaves the estimator unchanged. Within the package ``estimators``, only this module issues warnings.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from inspect import signature
from math import isfinite
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from bpestimator.estimators._setup import (
    NO_VALIDATION,
    Validation,
    layers_of,
    problem_of,
    sizes_of,
    task_of,
    validate,
)
from bpestimator.estimators._sklearn_compat import (
    CallbackSupportMixin,
    has_callbacks,
    with_callbacks,
)
from bpestimator.estimators.fitting import (
    Call,
    CallbackListener,
    FitResult,
    FitTask,
    fit_full_batch,
    fit_stochastic,
    prepare_full_batch,
    prepare_stochastic,
)
from bpestimator.estimators.parameters import (
    Settings,
    activations_of,
    is_stochastic,
    stochastic_solvers,
)
from bpestimator.estimators.targets import Targets
from bpestimator.estimators.threads import (
    blas_threads,
    blas_threads_of_user,
    largest_product,
)
from bpestimator.estimators.user_warnings import warn
from bpestimator.nn import (
    ALL_OUTPUT_ACTIVATIONS,
    CHUNK_ROWS,
    EXACT_ROWS,
    Activation,
    NetworkSpec,
    predict,
)

_FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


def has_partial_fit(est: Any) -> bool:
    """True if ``partial_fit`` is available; AttributeError with the remedy if not."""
    if not is_stochastic(est.solver):
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers "
            f"({', '.join(stochastic_solvers())}). {est.solver} is not stochastic: use fit, "
            "or set solver='adam'."
        )
    return True


class BaseBackprop(CallbackSupportMixin, BaseEstimator):
    """Training and prediction, for classes and for numbers.

    ``coefs_`` and ``intercepts_`` are the model. ``_memory`` holds what else the next call needs to
    continue exactly, such as the optimizer's moments and the decreased learning rate. It is a dict
    of plain arrays, dicts and numbers.
    """

    coefs_: list[NDArray[Any]]
    intercepts_: list[NDArray[Any]]
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    validation_loss_curve_: list[float] | None
    learning_rate_: float | None
    history_: dict[str, list[float]]
    stop_reason_: str
    n_iter_: int
    t_: int
    n_layers_: int
    n_outputs_: int
    out_activation_: str
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    _settings: ClassVar[type[Settings]] = Settings
    _y_numeric: ClassVar[bool] = False
    _fitted_attributes: ClassVar[set[str]] = {"coefs_", "intercepts_", "out_activation_"}
    _memory: dict[str, Any] | None = None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle. Parameters that it lacks get their defaults."""
        kind: Any = type(self)
        super().__setstate__({**_defaults(kind), **state})

    def set_params(self, **params: Any) -> Any:
        """Set parameters by name.

        Parameters
        ----------
        **params : dict
            The new values, by name.

        Returns
        -------
        self

        Raises
        ------
        AttributeError
            For a name such as ``solver__weight_decay``: set the whole object instead, as in
            ``solver=AdamW(weight_decay=0.1)``.
        ValueError
            For a name that is not a parameter.
        """
        try:
            return super().set_params(**params)
        except AttributeError as error:
            error.add_note(
                "Solvers, schedules and other objects cannot be set in part. Set the whole object: "
                "for instance, search over "
                "{'solver': [AdamW(weight_decay=w) for w in (0.01, 0.1)]}."
            )
            raise

    def _targets_of(self, y: Any, settings: Any, call: Call, classes: Any) -> Targets:
        """How y is encoded; defined by the subclass.

        ``classes`` are those passed to ``partial_fit``, or None.
        """
        raise NotImplementedError

    # Training.

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        incremental: bool = False,
        classes: np.ndarray | None = None,
        validation: Validation = NO_VALIDATION,
    ) -> None:
        settings = settings_of(self)
        if incremental and self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: it sees one chunk at a time. "
                "Set early_stopping=False, or use fit."
            )
        continues = hasattr(self, "coefs_") and (self.warm_start or incremental)
        call = Call(incremental, fresh=not continues)
        arguments = (settings, call, X, y, sample_weight, classes, validation)
        if has_callbacks(self):
            result = self._train_with_callbacks(*arguments)
        else:
            result = self._train_and_publish(*arguments)
        # Only now: a filter may turn a warning into an error, which must not discard the fit.
        warn(result.warnings)

    def _train_with_callbacks(self, *arguments: Any) -> FitResult:
        """As :meth:`_train_and_publish`, within the set-up and tear-down of the callbacks."""
        before = self.__dict__.copy()
        try:
            result: FitResult = with_callbacks(type(self)._train_and_publish)(self, *arguments)
        except BaseException:
            self.__dict__ = before  # a last hook may raise when the attributes are set
            raise
        return result

    def _train_and_publish(
        self,
        settings: Settings,
        call: Call,
        X: Any,
        y: Any,
        sample_weight: Any,
        classes: np.ndarray | None,
        validation: Validation,
    ) -> FitResult:
        """Train, and set the fitted attributes if training produced a model."""
        listener = None
        if has_callbacks(self):
            epochs = 1 if call.incremental else int(self.max_iter)
            epoch_name = "epoch" if settings.is_stochastic else "iteration"
            listener = CallbackListener(self, epoch_name, epochs, X, y, sample_weight)
        data = validate(self, X, y, sample_weight, call)
        warn(data.warnings)
        problem = problem_of(self, settings, call, data, classes=classes, validation=validation)
        warn(problem.warnings)
        task = task_of(self, settings, call, data, problem, listener)
        result = _train(task)
        publish(self, task, result)
        if listener is not None:
            listener.end_fit()
        return result

    # Prediction.

    def _output_activation_of_model(self) -> Activation:
        """The output activation of the fitted network."""
        return ALL_OUTPUT_ACTIVATIONS[self.out_activation_]

    def _predict(self, X: Any) -> np.ndarray:
        """Predictions of shape (n, outputs), from the current ``coefs_`` and ``intercepts_``."""
        if not self._is_valid(X):
            X = self._validate_to_predict(X)
        params = layers_of(self)
        sizes = sizes_of(params)
        rows, features = X.shape
        if features != sizes[0]:
            raise ValueError(f"X has {features} features, but coefs_[0] has {sizes[0]} rows.")
        activations = activations_of(self.activation, len(sizes) - 2)
        output_activation = self._output_activation_of_model()
        spec = NetworkSpec(sizes, activations, output_activation=output_activation)
        if rows == 1:
            return predict(X, params, spec)
        in_chunks = rows > EXACT_ROWS
        with blas_threads(largest_product(sizes, CHUNK_ROWS if in_chunks else rows)):
            workers = blas_threads_of_user() if in_chunks else 1
            return predict(X, params, spec, workers=workers)

    def _is_valid(self, X: Any) -> bool:
        """Whether X needs no validation: it would pass, unchanged. False if that is uncertain.

        Validation takes ten times as long as the prediction for one row.
        """
        attributes = self.__dict__
        if not (
            type(X) is np.ndarray
            and X.dtype in _FLOATS
            and X.ndim == 2
            and X.size > 0
            and X.flags.c_contiguous
            and X.shape[1] == attributes.get("n_features_in_")
            and "feature_names_in_" not in attributes
            and attributes.keys() >= self._fitted_attributes
        ):
            return False
        # If an entry is infinite or NaN, then so is the sum of squares.
        entries = X.reshape(-1)
        with np.errstate(all="ignore"):
            return isfinite(entries.dot(entries))

    def _validate_to_predict(self, X: Any) -> Any:
        check_is_fitted(self, list(self._fitted_attributes))
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return X if isinstance(X, np.ndarray) else X.tocsr()


def settings_of(est: Any) -> Settings:
    """The parameters of an estimator; InvalidParameterError for a value that is not allowed."""
    kind: type[Settings] = est._settings
    return kind.of(est)


def publish(est: BaseBackprop, task: FitTask, result: FitResult) -> None:
    """Set the fitted attributes, if training produced a model."""
    if result.attributes is None:
        return
    dropped = {*result.dropped, "feature_names_in_"}
    kept = {name: value for name, value in vars(est).items() if name not in dropped}
    # All in one assignment, so that Ctrl-C cannot leave a part of a model.
    est.__dict__ = {**kept, **task.attributes, **result.attributes, "_memory": result.memory}


def _train(task: FitTask) -> FitResult:
    """Train by the solver that the settings name."""
    if task.settings.is_stochastic:
        training = prepare_stochastic(task)
        warn(training.warnings)
        return fit_stochastic(task, training)
    batch = prepare_full_batch(task)
    warn(batch.warnings)
    return fit_full_batch(task, batch)


@lru_cache
def _defaults(kind: Any) -> Mapping[str, Any]:
    """The default of each constructor parameter of a class."""
    parameters = signature(kind).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not one.empty}
