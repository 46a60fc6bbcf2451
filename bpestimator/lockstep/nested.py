"""Nested networks: the last step of a Pipeline, or inside a TransformedTargetRegressor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from typing import Any, NamedTuple

from sklearn.base import BaseEstimator, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline

from bpestimator.estimators import BackpropClassifier, BackpropRegressor

NETWORKS = (BackpropClassifier, BackpropRegressor)


class Around(NamedTuple):
    """The fitted steps around a network.

    X, y : the data as the network gets them
    wrap : from an estimator like the one that was fitted, its network trained by now, to that
        estimator fitted as a whole
    """

    X: Any
    y: Any
    wrap: Callable[[Any], Any]


def nested_in(estimator: Any) -> Iterator[tuple[str, Any]]:
    """The estimator, and what is nested in it, each with its name in the one before.

    The network is the last. A subclass of Pipeline may do more than its steps do: nothing counts
    as nested in it.
    """
    name = ""
    while True:
        yield name, estimator
        if type(estimator) is Pipeline:
            name, estimator = estimator.steps[-1]
        elif type(estimator) is TransformedTargetRegressor:
            name, estimator = "regressor", estimator.regressor
        else:
            return


def network_of(estimator: Any) -> Any:
    """The innermost estimator."""
    *_, (_, network) = nested_in(estimator)
    return network


def check_is_network(estimator: Any, asking: str, otherwise: str = "") -> None:
    """TypeError, with what else to do, if the innermost estimator is no network of ours."""
    if isinstance(network_of(estimator), NETWORKS):
        return
    known = f"{asking} takes a BackpropClassifier or a BackpropRegressor"
    if isinstance(estimator, type):
        raise TypeError(f"{known}, not a class: write {estimator.__name__}().")
    raise TypeError(
        f"{known}, which may be the last step of a Pipeline or in a TransformedTargetRegressor. "
        f"Got {estimator!r}.{otherwise}"
    )


def fit_around(estimator: Any, X: Any, y: Any) -> Around:
    """Fit the steps around a network as ``estimator.fit`` does; the network is left as it is."""
    if type(estimator) is Pipeline:
        return _fit_before(estimator, X, y)
    if type(estimator) is TransformedTargetRegressor:
        return _fit_target(estimator, X, y)
    return Around(X, y, lambda one: one)


def _fit_before(pipeline: Pipeline, X: Any, y: Any) -> Around:
    """Fit the steps before the last."""
    before = pipeline[:-1] if len(pipeline.steps) > 1 else None
    X = X if before is None else before.fit_transform(X, y)
    X, y, wrap_last = fit_around(pipeline.steps[-1][1], X, y)

    def wrap(one: Pipeline) -> Pipeline:
        name, last = one.steps[-1]
        whole = copy(one)
        whole.steps = [*(() if before is None else before.steps), (name, wrap_last(last))]
        return whole

    return Around(X, y, wrap)


class _DataCatcher(BaseEstimator):
    """Keeps the data that a regressor would be given to fit."""

    def __sklearn_clone__(self) -> _DataCatcher:
        return self

    def fit(self, X: Any, y: Any) -> _DataCatcher:
        self.data_ = X, y
        return self

    def predict(self, X: Any) -> Any:  # a regressor has one; nobody calls it
        raise NotImplementedError


def _fit_target(regressor: TransformedTargetRegressor, X: Any, y: Any) -> Around:
    """Fit the transformer of y."""
    catcher = _DataCatcher()
    fitted = clone(regressor).set_params(regressor=catcher).fit(X, y)
    del fitted.regressor, fitted.regressor_  # ``wrap`` lives on, the data need not
    X, y, wrap_inner = fit_around(regressor.regressor, *catcher.data_)

    def wrap(one: TransformedTargetRegressor) -> TransformedTargetRegressor:
        whole = copy(fitted)
        whole.regressor = clone(one.regressor)
        whole.regressor_ = wrap_inner(one.regressor)
        if hasattr(whole.regressor_, "feature_names_in_"):
            whole.feature_names_in_ = whole.regressor_.feature_names_in_
        return whole

    return Around(X, y, wrap)
