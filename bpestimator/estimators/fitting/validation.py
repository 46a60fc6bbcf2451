"""Validation: hold rows out of training, and compute the score and the loss on them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from inspect import signature
from math import nan
from numbers import Real
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer
from sklearn.model_selection import train_test_split

from bpestimator.estimators.fitting.problem import HeldOut, Problem
from bpestimator.estimators.parameters import Settings
from bpestimator.nn import Predictor, mean_loss
from bpestimator.training import Validation


def hold_out(settings: Settings, problem: Problem) -> tuple[np.ndarray, HeldOut]:
    """Split ``validation_fraction`` of the rows off for early stopping.

    Returns
    -------
    rows : ndarray of int
        The rows to train on.
    held_out : HeldOut
        The validation rows.

    Raises
    ------
    ValueError
        If either part would be too small, or has no row of positive weight.
    """
    fraction, weight = settings.validation_fraction, problem.weight
    if fraction == 0:
        raise ValueError(
            "early_stopping=True needs a 'validation_fraction' above 0, such as 0.1. Got "
            f"{fraction!r}."
        )
    all_rows = np.arange(problem.n_rows) if problem.rows is None else problem.rows
    strata = problem.targets.strata(problem.encoded)
    rows, validation_rows = train_test_split(
        all_rows,
        random_state=problem.rng,
        test_size=fraction,
        stratify=None if strata is None else strata[all_rows],
    )
    if validation_rows.size < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of "
            f"your dataset. Got {validation_rows.size} of {all_rows.size} rows with "
            f"validation_fraction={fraction}."
        )
    if weight is not None:
        _check_weights_of_both(weight[rows], weight[validation_rows])
    return rows, problem.take(validation_rows)


def _check_weights_of_both(of_training: np.ndarray, of_validation: np.ndarray) -> None:
    for name, weight, remedy in (
        ("training", of_training, "Decrease"),
        ("validation", of_validation, "Increase"),
    ):
        if not weight.any():
            raise ValueError(
                f"All {weight.size} rows of the {name} set have weight 0. {remedy} "
                "'validation_fraction', or give more rows or classes a weight above 0."
            )


class Validator:
    """Computes the score and the loss on the validation rows.

    Parameters
    ----------
    settings : Settings
    problem : Problem
    held_out : HeldOut
    model_at : callable
        Takes parameters of shape (P,), returns a fitted estimator for the user's scorer.
    """

    def __init__(
        self,
        settings: Settings,
        problem: Problem,
        held_out: HeldOut,
        model_at: Callable[[np.ndarray], Any],
    ) -> None:
        self._problem, self._held_out, self._model_at = problem, held_out, model_at
        self._scoring = settings.scoring
        # Predicts all rows at once, since chunks could change the rounding of a score.
        self._predict = Predictor(held_out.x, problem.spec, problem.params.dtype)
        self._by_loss = isinstance(self._scoring, str) and self._scoring == "loss"
        by_default = self._scoring is None or self._by_loss
        self._scorer = None if by_default else get_scorer(self._scoring)
        takes_weights = (
            not by_default and held_out.weight is not None and _takes_weights(self._scorer)
        )
        self._weights = {"sample_weight": held_out.weight} if takes_weights else {}

    def __call__(self, params: np.ndarray) -> Validation:
        problem, (_, _, encoded, weight) = self._problem, self._held_out
        predictions = self._predict(params)
        loss = mean_loss(problem.spec.loss, predictions, encoded, weight)
        if self._by_loss:
            return Validation(-loss, loss)
        if self._scorer is not None:
            return Validation(self._score(params, predictions), loss)
        return Validation(problem.targets.score(encoded, predictions, weight), loss)

    def _score(self, params: np.ndarray, predictions: np.ndarray) -> float:
        """The score by the user's scorer; NaN for predictions that are not finite."""
        assert self._scorer is not None
        if not np.isfinite(predictions).all():
            return nan
        model = self._model_at(params)
        scoring = f"scoring={self._scoring!r}"
        try:
            score = self._scorer(model, self._held_out.x, self._held_out.y, **self._weights)
        except (TypeError, ValueError) as error:
            if self._weights and is_scorer(self._scorer) and "sample_weight" in str(error):
                self._weights = {}  # its metric takes no weights
                return self._score(params, predictions)
            if isinstance(error, TypeError):
                raise
            raise ValueError(f"{scoring} cannot score the validation set: {error}") from error
        with suppress(AttributeError, ValueError):
            score = score.item()
        if not isinstance(score, Real):
            raise TypeError(f"{scoring} must return a number; more is better. Got {score!r}.")
        return float(score)


def is_scorer(scoring: Any) -> bool:
    """Whether ``scoring`` is a scorer object of scikit-learn rather than a plain function."""
    return hasattr(scoring, "get_metadata_routing")


def _takes_weights(scoring: Any) -> bool:
    """Whether a function takes ``sample_weight``.

    True for a scorer object: only its metric decides, when it is called.
    """
    if is_scorer(scoring):
        return True
    parameters = signature(scoring).parameters
    return "sample_weight" in parameters or any(
        one.kind is one.VAR_KEYWORD for one in parameters.values()
    )
