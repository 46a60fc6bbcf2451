"""Validation: rows that are not trained on, and what they say of a model."""

from __future__ import annotations

from contextlib import suppress
from copy import copy
from inspect import signature
from math import nan
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.metrics import get_scorer
from sklearn.model_selection import train_test_split

from bpestimator.nn import Predictor, mean_loss
from bpestimator.training import Validation

if TYPE_CHECKING:
    from bpestimator.estimators._base import BaseBackprop
    from bpestimator.estimators._solvers import Problem


class HeldOut(NamedTuple):
    """Rows to validate on.

    x : ndarray or sparse matrix of shape (n, features)
    y : as the user wrote it, validated
    targets : y as the loss takes it
    weight : ndarray of shape (n,) or None
    """

    x: Any
    y: Any
    targets: np.ndarray
    weight: np.ndarray | None


def hold_out(est: BaseBackprop, problem: Problem) -> tuple[np.ndarray, HeldOut]:
    """Split ``validation_fraction`` off: the rows to train on, and the others."""
    x, weight = problem.x, problem.weight
    if est.validation_fraction == 0:
        raise ValueError(
            "early_stopping=True needs a 'validation_fraction' above 0, such as 0.1. Got "
            f"{est.validation_fraction!r}."
        )
    rows, others = train_test_split(
        np.arange(x.shape[0]),
        random_state=problem.rng,
        test_size=est.validation_fraction,
        stratify=est._strata(problem.targets),
    )
    if others.size < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of "
            f"your dataset. Got {others.size} of {x.shape[0]} rows with "
            f"validation_fraction={est.validation_fraction}."
        )
    if weight is not None:
        _check_both_count(weight[rows], weight[others])
        weight = weight[others]
    return rows, HeldOut(x[others], problem.y[others], problem.targets[others], weight)


def _check_both_count(of_training: np.ndarray, of_validation: np.ndarray) -> None:
    for name, weight, remedy in (
        ("training", of_training, "Decrease"),
        ("validation", of_validation, "Increase"),
    ):
        if not weight.any():
            raise ValueError(
                f"No row of the {name} set counts: the weights of all {weight.size} are zero. "
                f"{remedy} 'validation_fraction', or give more rows or classes a weight above 0."
            )


class Validator:
    """Score and loss of the held-out rows, as a function of the parameters.

    Parameters
    ----------
    est : BaseBackprop
        Being fitted; its ``scoring`` names the score.
    problem : Problem
    held_out : HeldOut
    """

    def __init__(self, est: BaseBackprop, problem: Problem, held_out: HeldOut) -> None:
        self._est, self._problem, self._held_out = est, problem, held_out
        # All rows at once: in chunks, the last bit of a score could differ.
        self._predict = Predictor(held_out.x, problem.spec, problem.params.dtype)
        self._by_loss = isinstance(est.scoring, str) and est.scoring == "loss"
        by_default = est.scoring is None or self._by_loss
        self._scorer = None if by_default else get_scorer(est.scoring)
        weigh = not by_default and held_out.weight is not None and _takes_weights(self._scorer)
        self._weights = {"sample_weight": held_out.weight} if weigh else {}

    def __call__(self, params: np.ndarray) -> Validation:
        spec, (_, _, targets, weight) = self._problem.spec, self._held_out
        predictions = self._predict(params)
        loss = mean_loss(spec.loss, predictions, targets, weight)
        if self._by_loss:
            return Validation(-loss, loss)
        if self._scorer is not None:
            return Validation(self._score(params, predictions), loss)
        out_activation = spec.output_activation.name
        score = self._est._score_predictions(targets, predictions, weight, out_activation)
        return Validation(score, loss)

    def _score(self, params: np.ndarray, predictions: np.ndarray) -> float:
        """The score by the user's scorer; NaN for predictions that it could not take."""
        assert self._scorer is not None
        if not np.isfinite(predictions).all():
            return nan
        model = as_fitted(self._est, self._problem, params)
        scoring = f"scoring={self._est.scoring!r}"
        try:
            score = self._scorer(model, self._held_out.x, self._held_out.y, **self._weights)
        except (TypeError, ValueError) as error:
            if self._weights and is_scorer(self._scorer) and "sample_weight" in str(error):
                self._weights = {}  # the metric within takes none
                return self._score(params, predictions)
            if isinstance(error, TypeError):
                raise
            raise ValueError(f"{scoring} cannot score the validation set: {error}") from error
        with suppress(AttributeError, ValueError):
            score = score.item()
        if not isinstance(score, Real):
            raise TypeError(f"{scoring} must return a number, more is better. Got {score!r}.")
        return float(score)


def is_scorer(scoring: Any) -> bool:
    """Whether this is a scorer of scikit-learn rather than a function."""
    return hasattr(scoring, "get_metadata_routing")


def _takes_weights(scoring: Any) -> bool:
    """Whether a function takes weights; of a scorer, only its metric knows."""
    if is_scorer(scoring):
        return True
    parameters = signature(scoring).parameters
    return "sample_weight" in parameters or any(
        one.kind is one.VAR_KEYWORD for one in parameters.values()
    )


def as_fitted(est: BaseBackprop, problem: Problem, params: np.ndarray) -> BaseBackprop:
    """A shallow copy of an estimator in training whose model is ``params``.

    It takes plain arrays, as the validated rows are, whatever the estimator was fitted on.
    """
    view = copy(est)
    view.__dict__.pop("feature_names_in_", None)
    view._publish(problem, params, {})
    return view
