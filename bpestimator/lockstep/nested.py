"""Nested networks: in the last step of a Pipeline, or inside a TransformedTargetRegressor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from typing import Any, NamedTuple

from sklearn.base import BaseEstimator, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline

from bpestimator.estimators import BackpropClassifier, BackpropRegressor

NETWORKS = (BackpropClassifier, BackpropRegressor)


class StepsAround(NamedTuple):
    """The fitted steps around a network.

    X, y : the data after these steps, as the network takes them
    wrap : takes a clone of the estimator with a trained network, returns it with these steps
    """

    X: Any
    y: Any
    wrap: Callable[[Any], Any]


def nested_in(estimator: Any) -> Iterator[tuple[str, Any]]:
    """The estimator and each estimator nested in it, down to the network.

    A subclass of Pipeline may do more than its steps do, so it is not searched.

    Yields
    ------
    name : str
        The estimator's name in the one before it; empty for the first.
    estimator : estimator
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
    """The innermost estimator, which is the network if there is one."""
    *_, (_, network) = nested_in(estimator)
    return network


def check_is_network(estimator: Any, asking: str, otherwise: str = "") -> None:
    """Check that the innermost estimator is a network of this package.

    Parameters
    ----------
    estimator : object
    asking : str
        The class or function that needs a network, for the message.
    otherwise : str, default=""
        A remedy to append to the message, with a leading space.

    Raises
    ------
    TypeError
        If it is not.
    """
    if isinstance(network_of(estimator), NETWORKS):
        return
    known = f"{asking} takes a BackpropClassifier or a BackpropRegressor"
    if isinstance(estimator, type):
        raise TypeError(f"{known}, not a class: write {estimator.__name__}().")
    raise TypeError(
        f"{known}, which may be the last step of a Pipeline or in a TransformedTargetRegressor. "
        f"Got {estimator!r}.{otherwise}"
    )


def fit_around(estimator: Any, X: Any, y: Any) -> StepsAround:
    """Fit the steps around a network as ``estimator.fit`` does, but not the network."""
    if type(estimator) is Pipeline:
        return _fit_before(estimator, X, y)
    if type(estimator) is TransformedTargetRegressor:
        return _fit_target(estimator, X, y)
    return StepsAround(X, y, lambda one: one)


def _fit_before(pipeline: Pipeline, X: Any, y: Any) -> StepsAround:
    """Fit the steps of a Pipeline before the last."""
    before = pipeline[:-1] if len(pipeline.steps) > 1 else None
    X = X if before is None else before.fit_transform(X, y)
    X, y, wrap_last = fit_around(pipeline.steps[-1][1], X, y)

    def wrap(one: Pipeline) -> Pipeline:
        name, last = one.steps[-1]
        whole = copy(one)
        whole.steps = [*(() if before is None else before.steps), (name, wrap_last(last))]
        return whole

    return StepsAround(X, y, wrap)


class _DataRecorder(BaseEstimator):
    """A regressor that only records the data that its ``fit`` gets."""

    def __sklearn_clone__(self) -> _DataRecorder:
        return self

    def fit(self, X: Any, y: Any) -> _DataRecorder:
        self.data_ = X, y
        return self

    def predict(self, X: Any) -> Any:  # a regressor must have one; it is not called
        raise NotImplementedError


def _fit_target(regressor: TransformedTargetRegressor, X: Any, y: Any) -> StepsAround:
    """Fit the transformer of a TransformedTargetRegressor."""
    recorder = _DataRecorder()
    fitted = clone(regressor).set_params(regressor=recorder).fit(X, y)
    del fitted.regressor, fitted.regressor_  # so that ``wrap`` does not keep the data alive
    X, y, wrap_inner = fit_around(regressor.regressor, *recorder.data_)

    def wrap(one: TransformedTargetRegressor) -> TransformedTargetRegressor:
        whole = copy(fitted)
        whole.regressor = clone(one.regressor)
        whole.regressor_ = wrap_inner(one.regressor)
        if hasattr(whole.regressor_, "feature_names_in_"):
            whole.feature_names_in_ = whole.regressor_.feature_names_in_
        return whole

    return StepsAround(X, y, wrap)
