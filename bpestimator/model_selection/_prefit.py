"""The proxy that a search clones, fits and scores in place of the user's estimator.

scikit-learn's search clones its estimator once for each candidate and fold, in order, sets the
candidate's parameters, and fits. The proxy's clones are numbered likewise. A clone whose fit has
been made before, in lockstep, becomes that fitted estimator; any other fits as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple

from sklearn.base import BaseEstimator, clone

from bpestimator.estimators import is_scorer, warn
from bpestimator.lockstep import value_key


class Prefit(NamedTuple):
    """A candidate on a fold, fitted before the search asks for it.

    estimator : fitted
    parameters : of the candidate
    n_rows : trained on
    warnings : what its fit would have warned of
    """

    estimator: Any
    parameters: dict[str, Any]
    n_rows: int
    warnings: list[Warning]


class PrefitQueue:
    """Fits made before, in the order in which the search will ask for them."""

    def __init__(self) -> None:
        self.prefits: list[Prefit | None] = []
        self.asked = 0

    def fill(self, prefits: list[Prefit | None]) -> None:
        """Expect to be asked for these from now on."""
        self.prefits, self.asked = prefits, 0

    def next(self) -> Prefit | None:
        """The fit that the clone made now will be asked for; None where it has not been made."""
        number, self.asked = self.asked, self.asked + 1
        if number >= len(self.prefits):
            return None
        prefit, self.prefits[number] = self.prefits[number], None  # not needed twice
        return prefit


def _meant(names: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    """What was probably meant by each name that is not known."""
    known = list(known)
    for name in names:
        if name not in known:
            of_a_step = [each for each in known if each.endswith(f"__{name}")]
            likely = of_a_step or get_close_matches(name, known, 1)
            if likely:
                yield f"Did you mean {' or '.join(map(repr, likely))}, not {name!r}?"


class PrefitProxy(BaseEstimator):
    """Behaves like ``wrapped`` in every respect, except that its fit may have been made before."""

    def __init__(
        self, wrapped: Any, queue: PrefitQueue | None = None, prefit: Prefit | None = None
    ) -> None:
        self.wrapped, self._queue, self._prefit = wrapped, queue, prefit
        self._parameters: dict[str, Any] = {}
        self._is_base = False

    def __sklearn_clone__(self) -> PrefitProxy:
        """The search clones its estimator, and that clone once for each fit."""
        if self._queue is None:
            return PrefitProxy(clone(self.wrapped))
        if not self._is_base:
            base = PrefitProxy(clone(self.wrapped), self._queue)
            base._is_base = True
            return base
        prefit = self._queue.next()
        return PrefitProxy(clone(self.wrapped) if prefit is None else self.wrapped, prefit=prefit)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_queue": None}  # workers need their own prefit only

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
        return dict(self._own().get_params(deep))

    def set_params(self, **params: Any) -> PrefitProxy:
        self._parameters.update(params)
        if self._prefit is None:
            try:
                self.wrapped.set_params(**params)
            except ValueError as error:
                for meant in _meant(params, self.wrapped.get_params()):
                    error.add_note(meant)
                raise
        return self

    def _own(self) -> Any:
        """The estimator to fit: until then, a clone whose fit is made shares the base's."""
        if self._prefit is None:
            return self.wrapped
        return clone(self.wrapped).set_params(**self._parameters)

    @property
    def fit(self) -> Callable[..., Any]:
        """The estimator's own ``fit``, unless the fit has been made before."""
        return self.wrapped.fit if self._prefit is None else self._become_fitted

    def _become_fitted(self, X: Any, y: Any = None, **params: Any) -> PrefitProxy:
        prefit = self._prefit
        assert prefit is not None
        if not self._is_mine(prefit, X):
            self.wrapped, self._prefit = self._own(), None
            self.wrapped.fit(X, *(() if y is None else (y,)), **params)
            return self
        self._prefit = None
        # A filter may have raised a warning before: each fit's is to tell of that fit alone.
        warn(warning.with_traceback(None) for warning in prefit.warnings)
        self.wrapped = prefit.estimator
        return self

    def _is_mine(self, prefit: Prefit, X: Any) -> bool:
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        return n_rows == prefit.n_rows and _same(self._parameters, prefit.parameters)


def _same(parameters: dict[str, Any], others: dict[str, Any]) -> bool:
    """Whether two candidates are one; objects that only copy by identity count by their type."""
    return parameters.keys() == others.keys() and all(
        type(value) is type(others[name]) and _maybe_equal(value, others[name])
        for name, value in parameters.items()
    )


def _maybe_equal(value: Any, other: Any) -> bool:
    key = value_key(value)
    return key == value_key(other) or not isinstance(key, tuple)


class Unwrapping:
    """A user's scoring function, called with the estimator itself."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __repr__(self) -> str:
        return repr(self.function)  # scikit-learn's messages name it

    def __call__(self, estimator: Any, *args: Any, **kwargs: Any) -> Any:
        inner = estimator.wrapped if isinstance(estimator, PrefitProxy) else estimator
        return self.function(inner, *args, **kwargs)


def unwrapping(scoring: Any) -> Any:
    """``scoring``, whose plain functions are called with the estimator itself."""
    if isinstance(scoring, dict):
        return {name: unwrapping(one) for name, one in scoring.items()}
    # scikit-learn's own scorers only ask for predictions.
    is_plain = callable(scoring) and not is_scorer(scoring)
    return Unwrapping(scoring) if is_plain else scoring
