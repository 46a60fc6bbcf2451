"""Hints: suggest an allowed value in place of one that is not."""

from __future__ import annotations

from difflib import get_close_matches
from math import nan
from typing import Any

from bpestimator.estimators.parameters.rules import Declared, Rule

# Other names, common in other libraries and in papers, for what this package offers.
OTHER_NAMES = {
    "sigmoid": "logistic",
    "swish": "silu",
    "linear": "identity",
    "mae": "absolute_error",
    "l1": "absolute_error",
    "mse": "squared_error",
    "l2": "squared_error",
    "brier": "squared_error",
    "pinball": "quantile",
    "cross_entropy": "log_loss",
    "acc": "accuracy",
    "he": "he_normal",
    "kaiming": "he_normal",
    "xavier": "glorot_uniform",
}


def hint(name: str, rule: Rule, value: Any) -> str:
    """A sentence to append to the error message of a parameter.

    Parameters
    ----------
    name : str
        The parameter.
    rule : Rule
    value : object
        The value that the rule does not allow.

    Returns
    -------
    str
        With a leading space; empty without a suggestion.
    """
    if name == "loss" and isinstance(value, (int, tuple, list)):
        return " Write hidden_layer_sizes=...: the first argument of a regressor is its loss."
    if isinstance(rule, Declared):
        if isinstance(value, type) and issubclass(value, rule.kind):
            return f" Did you mean {value.__name__}()?"
        if callable(value) and rule.own:
            return f" For a function of your own, write {rule.own}."
    return _hint_for_word(name, rule, value) if isinstance(value, str) else ""


def _hint_for_word(name: str, rule: Rule, word: str) -> str:
    if name == "learning_rate" and word.lower() == "auto":
        return " Did you mean learning_rate_init='auto'?"
    try:
        number = float(word)
    except ValueError:
        number = nan
    if rule.allows(number):
        return f" Did you mean the number {word}, without quotes?"
    likely = get_close_matches(OTHER_NAMES.get(word.lower(), word.lower()), rule.words)
    return f" Did you mean {likely[0]!r}?" if likely else ""
