"""The proxy that a search clones, fits and scores in place of the user's estimator.

For each candidate and fold, in order, scikit-learn's search clones its estimator, sets the
candidate's parameters, and calls ``fit``. The clones of the proxy take the prefits from a queue in
the same order. A clone with a prefit becomes that fitted estimator in ``fit``; any other clone fits
as usual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple

from sklearn.base import BaseEstimator, clone

from bpestimator.estimators import is_scorer, warn
from bpestimator.lockstep import value_key


class Prefit(NamedTuple):
    """The fit of a candidate on a fold, made before the search calls ``fit``.

    estimator : the fitted estimator
    parameters : the candidate's parameters
    n_rows : the number of rows trained on
    warnings : the warnings that ``fit`` would have issued
    """

    estimator: Any
    parameters: dict[str, Any]
    n_rows: int
    warnings: list[Warning]


class PrefitQueue:
    """Prefits, in the order in which the search clones its estimator."""

    def __init__(self) -> None:
        self.prefits: list[Prefit | None] = []
        self.n_taken = 0

    def fill(self, prefits: list[Prefit | None]) -> None:
        """Set the prefits of the clones to come; None for a clone without one."""
        self.prefits, self.n_taken = prefits, 0

    def next(self) -> Prefit | None:
        """The prefit of the next clone, or None."""
        number, self.n_taken = self.n_taken, self.n_taken + 1
        if number >= len(self.prefits):
            return None
        prefit, self.prefits[number] = self.prefits[number], None  # frees its memory after use
        return prefit


def _suggestions(names: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    """A suggestion for each name that is not known, if a known name is similar."""
    known = list(known)
    for name in names:
        if name not in known:
            of_a_step = [each for each in known if each.endswith(f"__{name}")]
            likely = of_a_step or get_close_matches(name, known, 1)
            if likely:
                yield f"Did you mean {' or '.join(map(repr, likely))}, not {name!r}?"


class PrefitProxy(BaseEstimator):
    """Behaves like ``wrapped``, except that ``fit`` may take the result from a prefit."""

    def __init__(
        self, wrapped: Any, queue: PrefitQueue | None = None, prefit: Prefit | None = None
    ) -> None:
        self.wrapped, self._queue, self._prefit = wrapped, queue, prefit
        self._parameters: dict[str, Any] = {}
        self._is_base = False

    def __sklearn_clone__(self) -> PrefitProxy:
        """A clone for a fit, if this proxy is itself the search's clone of its estimator.

        The search clones its estimator once, and then that clone once for each fit.
        """
        if self._queue is None:
            return PrefitProxy(clone(self.wrapped))
        if not self._is_base:
            base = PrefitProxy(clone(self.wrapped), self._queue)
            base._is_base = True
            return base
        prefit = self._queue.next()
        return PrefitProxy(clone(self.wrapped) if prefit is None else self.wrapped, prefit=prefit)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_queue": None}  # a worker needs only the prefit of its clone

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __getattr__(self, name: str) -> Any:
        if name == "wrapped" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.wrapped, name)

    def __sklearn_tags__(self) -> Any:
        return self.wrapped.__sklearn_tags__()

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def get_metadata_routing(self) -> Any:
        return self.wrapped.get_metadata_routing()

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return dict(self._with_parameters().get_params(deep))

    def set_params(self, **params: Any) -> PrefitProxy:
        self._parameters.update(params)
        if self._prefit is None:
            try:
                self.wrapped.set_params(**params)
            except ValueError as error:
                for suggestion in _suggestions(params, self.wrapped.get_params()):
                    error.add_note(suggestion)
                raise
        return self

    def _with_parameters(self) -> Any:
        """The estimator with the candidate's parameters.

        A clone with a prefit shares ``wrapped`` with the base, and so must not change it.
        """
        if self._prefit is None:
            return self.wrapped
        return clone(self.wrapped).set_params(**self._parameters)

    @property
    def fit(self) -> Callable[..., Any]:
        """The estimator's own ``fit``, or the method that takes the prefit."""
        return self.wrapped.fit if self._prefit is None else self._take_prefit

    def _take_prefit(self, X: Any, y: Any = None, **params: Any) -> PrefitProxy:
        prefit = self._prefit
        assert prefit is not None
        if not self._is_of(prefit, X):
            self.wrapped, self._prefit = self._with_parameters(), None
            self.wrapped.fit(X, *(() if y is None else (y,)), **params)
            return self
        self._prefit = None
        # A filter may have raised a warning before. Its old traceback would be misleading.
        warn(warning.with_traceback(None) for warning in prefit.warnings)
        self.wrapped = prefit.estimator
        return self

    def _is_of(self, prefit: Prefit, X: Any) -> bool:
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        return n_rows == prefit.n_rows and _same_parameters(self._parameters, prefit.parameters)


def _same_parameters(parameters: dict[str, Any], others: dict[str, Any]) -> bool:
    """Whether two candidates have the same parameters.

    Objects that can only be compared by identity are compared by type, since they may be copies.
    """
    return parameters.keys() == others.keys() and all(
        type(value) is type(others[name]) and _maybe_equal(value, others[name])
        for name, value in parameters.items()
    )


def _maybe_equal(value: Any, other: Any) -> bool:
    key = value_key(value)
    return key == value_key(other) or not isinstance(key, tuple)


class Unwrapping:
    """Calls a user's scoring function with the estimator in place of the proxy."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __repr__(self) -> str:
        return repr(self.function)  # scikit-learn's messages show it

    def __call__(self, estimator: Any, *args: Any, **kwargs: Any) -> Any:
        inner = estimator.wrapped if isinstance(estimator, PrefitProxy) else estimator
        return self.function(inner, *args, **kwargs)


def unwrapping(scoring: Any) -> Any:
    """``scoring`` with each plain function in an :class:`Unwrapping`."""
    if isinstance(scoring, dict):
        return {name: unwrapping(one) for name, one in scoring.items()}
    # Scorer objects of scikit-learn only call prediction methods, which the proxy has.
    is_plain = callable(scoring) and not is_scorer(scoring)
    return Unwrapping(scoring) if is_plain else scoring
