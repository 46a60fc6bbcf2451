"""The stand-in: what a search clones, fits and scores in place of the user's estimator.

scikit-learn's search clones its estimator once for each pair of candidate and fold, in order,
sets the candidate's parameters, and fits. The stand-in's clones are numbered likewise. A clone
whose pair has been trained ahead becomes that fitted estimator; any other fits as ever.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple

from sklearn.base import BaseEstimator, clone

from bpestimator.estimators import is_scorer

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")


class Pair(NamedTuple):
    """A candidate and a fold, trained ahead.

    estimator : fitted
    parameters : of the candidate
    n_rows : trained on
    warnings : what its fit would have warned of
    """

    estimator: Any
    parameters: dict[str, Any]
    n_rows: int
    warnings: list[Warning]


class Book:
    """The pairs trained ahead, by the order in which the search will ask for them."""

    def __init__(self) -> None:
        self.pairs: list[Pair | None] = []
        self.asked = 0

    def fill(self, pairs: list[Pair | None]) -> None:
        """Expect to be asked for these from now on."""
        self.pairs, self.asked = pairs, 0

    def next(self) -> Pair | None:
        """What the clone made now will be asked to fit; None where nobody knows."""
        number, self.asked = self.asked, self.asked + 1
        if number >= len(self.pairs):
            return None
        pair, self.pairs[number] = self.pairs[number], None  # its memory is not needed twice
        return pair


def _meant(names: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    """What was probably meant by each name that is not known."""
    known = list(known)
    for name in names:
        if name not in known:
            of_a_step = [each for each in known if each.endswith(f"__{name}")]
            likely = of_a_step or get_close_matches(name, known, 1)
            if likely:
                yield f"Did you mean {' or '.join(map(repr, likely))}, not {name!r}?"


class StandIn(BaseEstimator):
    """Looks like ``wrapped`` in every respect, except that it may know its fit already."""

    def __init__(self, wrapped: Any, book: Book | None = None, pair: Pair | None = None) -> None:
        self.wrapped, self._book, self._pair = wrapped, book, pair
        self._parameters: dict[str, Any] = {}
        self._is_base = False

    def __sklearn_clone__(self) -> StandIn:
        """The search clones its estimator, and that clone once for each fit."""
        if self._book is None:
            return StandIn(clone(self.wrapped))
        if not self._is_base:
            base = StandIn(clone(self.wrapped), self._book)
            base._is_base = True
            return base
        pair = self._book.next()
        return StandIn(clone(self.wrapped) if pair is None else self.wrapped, pair=pair)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_book": None}  # workers need their own pair only

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

    def set_params(self, **params: Any) -> StandIn:
        self._parameters.update(params)
        if self._pair is None:
            try:
                self.wrapped.set_params(**params)
            except ValueError as error:
                for meant in _meant(params, self.wrapped.get_params()):
                    error.add_note(meant)
                raise
        return self

    def _own(self) -> Any:
        """The estimator to fit: a clone that knows its fit shares the base's until it is asked."""
        if self._pair is None:
            return self.wrapped
        return clone(self.wrapped).set_params(**self._parameters)

    @property
    def fit(self) -> Callable[..., Any]:
        """What to call: where nothing is known ahead, the estimator's own ``fit``.

        Its warnings then point to where the search fits, as if nobody stood in.
        """
        return self.wrapped.fit if self._pair is None else self._become_fitted

    def _become_fitted(self, X: Any, y: Any = None, **params: Any) -> StandIn:
        pair = self._pair
        assert pair is not None
        if not self._is_mine(pair, X):
            self.wrapped, self._pair = self._own(), None
            self.wrapped.fit(X, *(() if y is None else (y,)), **params)
            return self
        self._pair = None
        for warning in pair.warnings:
            # A filter may have raised it before: each fit's is to tell of that fit alone.
            warnings.warn(warning.with_traceback(None), stacklevel=2)
        self.wrapped = pair.estimator
        return self

    def _is_mine(self, pair: Pair, X: Any) -> bool:
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        return n_rows == pair.n_rows and _told(self._parameters) == _told(pair.parameters)


def _told(parameters: dict[str, Any]) -> dict[str, str]:
    """What parameters say of themselves; the address that a copy of an object has is its own."""
    return {name: _ADDRESS.sub("", repr(value)) for name, value in parameters.items()}


class Unwrapping:
    """A user's scoring function, which is to see the estimator itself."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __repr__(self) -> str:
        return repr(self.function)  # scikit-learn's messages name it

    def __call__(self, estimator: Any, *args: Any, **kwargs: Any) -> Any:
        inner = estimator.wrapped if isinstance(estimator, StandIn) else estimator
        return self.function(inner, *args, **kwargs)


def unwrapping(scoring: Any) -> Any:
    """``scoring``, whose plain functions see the estimator itself."""
    if isinstance(scoring, dict):
        return {name: unwrapping(one) for name, one in scoring.items()}
    # scikit-learn's own scorers only ask for predictions.
    is_plain = callable(scoring) and not is_scorer(scoring)
    return Unwrapping(scoring) if is_plain else scoring
