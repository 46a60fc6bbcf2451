"""What both estimators share: from data to a network, and from a network to predictions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from math import isfinite
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from bpestimator.estimators import _options as options
from bpestimator.estimators._callbacks import listener_of
from bpestimator.estimators._full_batch import minimize
from bpestimator.estimators._sklearn_compat import (
    CallbackSupportMixin,
    has_callbacks,
    with_callbacks,
)
from bpestimator.estimators._solvers import Problem, descend
from bpestimator.estimators._targets import Task, check_weights
from bpestimator.estimators._threads import (
    blas_threads,
    blas_threads_of_user,
    largest_product,
)
from bpestimator.estimators._validation import HeldOut
from bpestimator.nn import (
    ALL_OUTPUT_ACTIVATIONS,
    CHUNK_ROWS,
    EXACT_ROWS,
    Activation,
    NetworkSpec,
    initial_parameters,
    predict,
)
from bpestimator.nn.parameters import Views

_FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


@dataclass(frozen=True)
class FitCall:
    """One call of ``fit`` or ``partial_fit``.

    incremental : whether it is ``partial_fit``
    fresh : whether it begins a new network rather than going on with ``coefs_``
    classes : all classes there will ever be, where ``partial_fit`` announces them
    """

    incremental: bool
    fresh: bool
    classes: np.ndarray | None = None


def is_stochastic(est: Any) -> bool:
    """Whether ``partial_fit`` exists: it needs a solver that learns batch by batch."""
    if not options.is_stochastic(est):
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers "
            f"({', '.join(options.STOCHASTIC_SOLVERS)}). {est.solver} is not stochastic: use fit, "
            "or set solver='adam'."
        )
    return True


def _layers(coefs: Sequence[Any], intercepts: Sequence[Any]) -> Views:
    """``coefs_`` and ``intercepts_``, which a user may have set, as arrays."""
    return Views([np.asarray(coef) for coef in coefs], [np.asarray(b) for b in intercepts])


def _sizes_of(layers: Views) -> tuple[int, ...]:
    """Units per layer; ValueError if the layers' shapes do not chain."""
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


class BaseBackprop(CallbackSupportMixin, BaseEstimator):
    """Training and prediction, whatever y means.

    ``coefs_`` and ``intercepts_`` are the model. What else the next call needs to go on
    exactly (the optimizer's moments, the shrunk rate) is in ``_memory``, a dict of plain
    arrays, dicts and numbers.
    """

    _rules: ClassVar[Mapping[str, Any]] = options.RULES
    _y_numeric = False
    _fitted_attributes: ClassVar[set[str]] = {"coefs_", "intercepts_", "out_activation_"}
    _memory: dict[str, Any] | None = None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def set_params(self, **params: Any) -> Any:
        """Set parameters by name, those of a Pipeline's step as ``step__name``.

        Returns
        -------
        self

        Raises
        ------
        AttributeError
            For a part of an object such as ``solver=AdamW()``: objects are set whole.
        ValueError
            For a name that is no parameter.
        """
        try:
            return super().set_params(**params)
        except AttributeError as error:
            error.add_note(
                "Objects of solvers, schedules and the like are set whole: search over "
                "{'solver': [AdamW(weight_decay=w) for w in (0.01, 0.1)]}, for instance."
            )
            raise

    # What a subclass answers.

    def _meet(self, y: Any, call: FitCall) -> str:
        """Learn which classes there are, or check that they are the known ones; the kind of y."""
        return "numbers"

    def _encode(self, y: Any, kind: str, dtype: Any) -> Task:
        """What the network is to learn."""
        raise NotImplementedError

    def _weigh(self, y: Any, weight: np.ndarray | None, call: FitCall) -> np.ndarray | None:
        """The weights of the rows, once y has its say; y is encoded by then."""
        return weight

    def _output_activation_of_model(self) -> Activation:
        """What turns the raw outputs of ``coefs_`` into predictions."""
        return ALL_OUTPUT_ACTIVATIONS[self.out_activation_]

    def _weigh_held_out(self, y_val: Any, weight: np.ndarray | None, y: Any) -> np.ndarray | None:
        """As :meth:`_weigh`, for rows to validate on; y is that of the rows trained on."""
        return weight

    def _meet_held_out(self, y: Any) -> str:
        """The kind of a y to validate on; ValueError for classes that training lacks."""
        return "numbers"

    def _strata(self, targets: np.ndarray) -> np.ndarray | None:
        """What early stopping's split is stratified by."""
        return None

    def _score_predictions(
        self,
        targets: np.ndarray,
        predictions: np.ndarray,
        weight: np.ndarray | None,
        out_activation: str,
    ) -> float:
        """The score that early stopping watches, from encoded targets."""
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
        validation: tuple[Any, Any, Any] = (None, None, None),
    ) -> None:
        options.check_parameters(self, self._rules)
        if incremental and self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: it sees one chunk at a time. "
                "Set early_stopping=False, or use fit."
            )
        goes_on = hasattr(self, "coefs_") and (self.warm_start or incremental)
        call = FitCall(incremental, fresh=not goes_on, classes=classes)
        attempt = type(self)._attempt
        if has_callbacks(self):
            attempt = with_callbacks(attempt)
        warning = attempt(self, X, y, sample_weight, validation, call)
        if warning is not None:  # only now, lest a filter that raises it cost the fit
            warnings.warn(warning, stacklevel=3)

    def _attempt(
        self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any, Any], call: FitCall
    ) -> Warning | None:
        """Train and publish, or leave everything as it was; what the user should be warned of."""
        stochastic = options.is_stochastic(self)
        epochs = 1 if call.incremental else int(self.max_iter)
        task = "epoch" if stochastic else "iteration"
        listener = listener_of(self, task, epochs, X, y, sample_weight)
        before, learnt = self.__dict__.copy(), False
        try:
            problem = self._problem(X, y, sample_weight, validation, call)
            learnt, warning = (descend if stochastic else minimize)(self, problem, call, listener)
        finally:
            if not learnt:  # whoever fails leaves no trace: what was known is still known
                self.__dict__ = before
        if listener is not None:
            listener.end_fit()
        return warning

    def _problem(
        self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any, Any], call: FitCall
    ) -> Problem:
        """Validate the data and set the network up, new or as ``coefs_`` are."""
        first = call.fresh or not hasattr(self, "n_features_in_")
        X, y = self._validate(X, y, reset=first, stacklevel=6)
        weight = check_weights(sample_weight, X.shape[0])
        dtype = X.dtype if call.fresh else self._dtype_of_coefs()
        X = X.astype(dtype, copy=False)
        task = self._encode(y, self._meet(y, call), dtype)
        weight = self._weigh(y, weight, call)
        rng = check_random_state(self.random_state)
        if call.fresh:
            hidden = options.hidden_layer_sizes(self.hidden_layer_sizes)
            spec = self._spec((X.shape[1], *hidden, task.n_outputs), task)
            init_gains = options.init_gains_of(self, spec.activations)
            initializer = options.initializer_of(self)
            params = initial_parameters(spec.layout, initializer, init_gains, rng, dtype)
        else:
            spec = self._spec(self._sizes_to_continue(X.shape[1], task.n_outputs), task)
            params = spec.layout.pack(self.coefs_, self.intercepts_, dtype)
        held_out = self._held_out(validation, y, dtype, task.n_outputs)
        return Problem(spec, X, y, task.targets, weight, params, rng, held_out)

    def _held_out(
        self, validation: tuple[Any, Any, Any], y: Any, dtype: Any, n_outputs: int
    ) -> HeldOut | None:
        """The user's own rows to validate on, if there are any."""
        X_val, y_val, weight_val = validation
        if X_val is None and y_val is None:
            if weight_val is not None:
                raise ValueError("sample_weight_val needs X_val and y_val, the rows it weighs.")
            return None
        if X_val is None or y_val is None:
            missing = "X_val" if X_val is None else "y_val"
            raise ValueError(f"X_val and y_val must be passed together. {missing} is missing.")
        try:
            X_val, y_val = self._validate(X_val, y_val, reset=False, stacklevel=7)
            task = self._encode(y_val, self._meet_held_out(y_val), dtype)
            weight = check_weights(weight_val, X_val.shape[0])
        except ValueError as error:
            raise ValueError(
                f"X_val, y_val or sample_weight_val cannot be used: {error}"
            ) from error
        if task.n_outputs != n_outputs:
            raise ValueError(
                f"y_val needs {task.n_outputs} outputs of the network, but y needs {n_outputs}."
            )
        X_val = X_val.astype(dtype, copy=False)
        X_val = X_val if isinstance(X_val, np.ndarray) else X_val.tocsr()
        return HeldOut(X_val, y_val, task.targets, self._weigh_held_out(y_val, weight, y))

    def _validate(self, X: Any, y: Any, *, reset: bool, stacklevel: int) -> tuple[Any, Any]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=self._y_numeric,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            warnings.warn(
                "A column-vector y was passed when a 1d array was expected. Pass y.ravel(): its "
                f"shape {y.shape} is taken as ({len(y)},).",
                DataConversionWarning,
                stacklevel=stacklevel,
            )
            y = column_or_1d(y)
        return X, y

    def _spec(self, sizes: tuple[int, ...], task: Task) -> NetworkSpec:
        activations = options.activations_of(self, len(sizes) - 2)
        return NetworkSpec(sizes, activations, task.loss, task.output_activation)

    def _dtype_of_coefs(self) -> Any:
        """The float type that ``coefs_`` and ``intercepts_`` fit in."""
        return np.result_type(np.float32, *map(np.asarray, [*self.coefs_, *self.intercepts_]))

    def _sizes_to_continue(self, n_features: int, n_outputs: int) -> tuple[int, ...]:
        """Units per layer of ``coefs_``, checked against the data and the parameters."""
        sizes = _sizes_of(_layers(self.coefs_, self.intercepts_))
        wanted = options.hidden_layer_sizes(self.hidden_layer_sizes)
        built = wanted if self._memory is None else self._memory["hidden_layer_sizes"]
        if wanted not in (built, sizes[1:-1]):
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} cannot continue the network "
                f"that was fitted with hidden_layer_sizes={built}. Set it back, or fit anew "
                "with warm_start=False."
            )
        if (sizes[0], sizes[-1]) != (n_features, n_outputs):
            raise ValueError(
                f"coefs_ take {sizes[0]} features to {sizes[-1]} outputs, but X has "
                f"{n_features} features and y needs {n_outputs} outputs."
            )
        return sizes

    def _publish(self, problem: Problem, params: np.ndarray, memory: dict[str, Any]) -> None:
        """Make ``params`` the model."""
        spec = problem.spec
        views = spec.layout.bind(params)
        self.coefs_ = views.weights
        self.intercepts_ = [biases.reshape(-1) for biases in views.biases]
        self.n_layers_ = len(spec.sizes)
        self.n_outputs_ = spec.sizes[-1]
        self.out_activation_ = spec.output_activation.name
        hidden = options.hidden_layer_sizes(self.hidden_layer_sizes)
        self._memory = {"hidden_layer_sizes": hidden, **memory}

    # Prediction.

    def _predict(self, X: Any) -> np.ndarray:
        """Predictions of shape (n, outputs), by ``coefs_`` and ``intercepts_`` as they are."""
        if not self._is_valid(X):
            X = self._validate_to_predict(X)
        params = _layers(self.coefs_, self.intercepts_)
        sizes = _sizes_of(params)
        rows, features = X.shape
        if features != sizes[0]:
            raise ValueError(f"X has {features} features, but coefs_[0] has {sizes[0]} rows.")
        activations = options.activations_of(self, len(sizes) - 2)
        spec = NetworkSpec(sizes, activations, output_activation=self._output_activation_of_model())
        if rows == 1:
            return predict(X, params, spec)
        in_chunks = rows > EXACT_ROWS
        with blas_threads(largest_product(sizes, CHUNK_ROWS if in_chunks else rows)):
            workers = blas_threads_of_user() if in_chunks else 1
            return predict(X, params, spec, workers=workers)

    def _is_valid(self, X: Any) -> bool:
        """Whether validation would find nothing and change nothing; False on any doubt.

        Validation takes ten times as long as the prediction for one row.
        """
        known = self.__dict__
        if not (
            type(X) is np.ndarray
            and X.dtype in _FLOATS
            and X.ndim == 2
            and X.size > 0
            and X.flags.c_contiguous
            and X.shape[1] == known.get("n_features_in_")
            and "feature_names_in_" not in known
            and known.keys() >= self._fitted_attributes
        ):
            return False
        # Infinity or NaN among the entries makes the sum of their squares one too.
        entries = X.reshape(-1)
        with np.errstate(all="ignore"):
            return isfinite(entries.dot(entries))

    def _validate_to_predict(self, X: Any) -> Any:
        check_is_fitted(self, list(self._fitted_attributes))
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return X if isinstance(X, np.ndarray) else X.tocsr()
