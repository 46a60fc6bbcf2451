"""Targets: from what users call y to the numbers a loss takes, and back."""

from __future__ import annotations

import warnings
from math import isfinite
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from bpestimator.nn import ALL_OUTPUT_ACTIVATIONS, Activation, LogLoss, Loss


class Task(NamedTuple):
    """What the network is to learn.

    loss : the loss
    output_activation : what turns raw outputs into predictions
    n_outputs : units of the output layer
    targets : y as the loss takes it
    """

    loss: Loss
    output_activation: Activation
    n_outputs: int
    targets: np.ndarray


def kind_of(y: Any) -> str:
    """'binary', 'multiclass' or 'multilabel-indicator'; ValueError for any other target."""
    kind = type_of_target(y, input_name="y")
    if "multioutput" in kind:
        raise ValueError(
            "Multioutput targets with more than two classes per output are not supported. Fit "
            "one classifier per output, for instance with "
            "sklearn.multioutput.MultiOutputClassifier."
        )
    if kind not in ("binary", "multiclass", "multilabel-indicator"):
        check_classification_targets(y)  # raises, and says what else y might be
    return str(kind)


def classes_of(y: Any, kind: str) -> np.ndarray:
    """The sorted classes of y; the columns' numbers where y is multilabel."""
    if kind == "multilabel-indicator":
        return np.arange(y.shape[1])
    classes = np.unique(y)
    # Strings come out as NumPy's, no longer than they are, as from unique_labels, which
    # partial_fit's classes pass.
    return np.array(classes.tolist()) if classes.dtype.kind in "OU" else classes


def check_classes(found: np.ndarray, classes: np.ndarray, *, same: bool) -> None:
    """ValueError if a class was found outside ``classes``, or not just those if ``same``."""
    if same and set(found) != set(classes):
        raise ValueError(
            "warm_start can only be used where `y` has the same classes as in the previous "
            f"call to fit. Previously got {classes}, `y` has {found}"
        )
    if np.setdiff1d(found, classes).size:
        raise ValueError(
            f"`y` has classes not in `self.classes_`. `self.classes_` has {classes}. "
            f"'y' has {found}. Pass all classes to the first call of partial_fit."
        )


def encode_classes(
    y: Any, kind: str, classes: np.ndarray, dtype: Any, loss: Loss, label_smoothing: float = 0.0
) -> Task:
    """The task of telling the classes apart.

    The targets are 1 for a row's class and 0 for the others: of shape (n, 1) for one or two
    classes, (n, labels) for multilabel y, (n, classes) for more classes, for which a loss may
    take integer labels instead. Smoothing by s turns them into 1 - s + s / k and s / k, for k
    classes (2 for each output of one or two classes, and for each label).
    """
    if kind == "multilabel-indicator":
        indicator = y.toarray() if hasattr(y, "toarray") else y
        loss, output_activation, targets = (
            loss.binary,
            ALL_OUTPUT_ACTIVATIONS["logistic"],
            (indicator != 0).astype(dtype),
        )
    elif len(classes) <= 2:
        is_second = np.zeros(len(y)) if len(classes) == 1 else y == classes[1]
        loss, output_activation, targets = (
            loss.binary,
            ALL_OUTPUT_ACTIVATIONS["logistic"],
            is_second.astype(dtype),
        )
        targets = targets.reshape(-1, 1)
    else:
        labels, output_activation = np.searchsorted(classes, y), ALL_OUTPUT_ACTIVATIONS["softmax"]
        if loss.takes_labels and not label_smoothing:
            return Task(loss, output_activation, len(classes), labels)
        loss = loss.soft if isinstance(loss, LogLoss) else loss
        targets = (labels[:, None] == np.arange(len(classes))).astype(dtype)
    if label_smoothing:
        n_choices = max(len(classes), 2) if output_activation.name == "softmax" else 2
        targets = targets * (1 - label_smoothing) + label_smoothing / n_choices
    return Task(loss, output_activation, targets.shape[1], targets)


def codes_of(targets: np.ndarray, out_activation: str) -> np.ndarray:
    """The integer labels that encoded targets stand for; 0 and 1 where they are logistic."""
    if targets.ndim == 1:
        return targets
    if out_activation == "softmax":
        return targets.argmax(axis=1)
    codes = (targets > 0.5).astype(int)
    return codes[:, 0] if codes.shape[1] == 1 else codes


def decode_classes(predictions: np.ndarray, classes: np.ndarray, out_activation: str) -> np.ndarray:
    """The classes that probabilities of shape (n, outputs) speak for."""
    if out_activation == "softmax":
        return np.take(classes, predictions.argmax(axis=1))
    if predictions.shape[1] > 1:
        return (predictions > 0.5).astype(int)
    likely = (predictions[:, 0] > 0.5) & (len(classes) > 1)
    return classes.take(likely.astype(int))


def encode_numbers(y: Any, dtype: Any, loss: Loss, output_activation: Activation) -> Task:
    """The task of predicting the numbers; ValueError outside the loss's domain."""
    y = y.toarray() if hasattr(y, "toarray") else y
    if y.dtype.kind not in "biuf":
        raise ValueError(
            "Unknown label type: BackpropRegressor takes numbers as y. Got values such as "
            f"{y.flat[0]!r}: convert them, or use BackpropClassifier if they are labels."
        )
    smallest, largest = y.min(), y.max()
    low, high = loss.domain
    if (isfinite(low) and smallest < low) or (isfinite(high) and largest > high):
        raise ValueError(
            f"loss={loss.name!r} takes targets {loss.rule}. Got {smallest:g} instead: "
            "shift or clip y, or choose another loss."
        )
    low, high = output_activation.bounds
    if smallest < low or largest > high:
        warnings.warn(
            f"Targets from {smallest:g} to {largest:g} cannot all be reached: "
            f"output_activation={output_activation.name!r} gives values between {low:g} and "
            f"{high:g}. Scale y, for instance with TransformedTargetRegressor.",
            stacklevel=7,
        )
    targets = np.asarray(y.reshape(len(y), -1), dtype, order="C")
    return Task(loss, output_activation, loss.outputs_of(targets.shape[1]), targets)


def check_weights(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    """Sample weights of shape (n_rows,), or None; a number stands for as many."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Real):
        weights = np.full(n_rows, float(sample_weight))
    else:
        weights = check_array(
            sample_weight,
            ensure_2d=False,
            dtype=(np.float64, np.float32),
            order="C",
            input_name="sample_weight",
        )
    if weights.ndim != 1:
        raise ValueError(
            f"Sample weights must be 1D array or scalar, got {weights.ndim}D array. Expected "
            f"either a scalar value or a 1D array of length {n_rows}."
        )
    if weights.shape != (n_rows,):
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(n_rows,)}!")
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def class_weights(
    y: Any, class_weight: Any, classes: np.ndarray, counted: Any = None
) -> np.ndarray:
    """The weight of each row by its class, of shape (n,).

    For multilabel y, the product over the labels, as in scikit-learn. 'balanced' goes by how often
    the classes occur in ``counted``, if given, rather than in y.
    """
    multilabel = y.ndim == 2 and y.shape[1] > 1
    if isinstance(class_weight, str) and counted is not None:
        dense = [part.toarray() if hasattr(part, "toarray") else part for part in (counted, y)]
        n_counted = len(dense[0])
        weights = compute_sample_weight(
            class_weight, np.concatenate(dense), indices=np.arange(n_counted)
        )
        return weights[n_counted:]
    if isinstance(class_weight, str):
        if multilabel:
            y = y.toarray() if hasattr(y, "toarray") else y
            return compute_sample_weight(class_weight, y)
        each = compute_class_weight(class_weight, classes=classes, y=y)
        return each[np.searchsorted(classes, y)]
    if multilabel != isinstance(class_weight, list):
        wanted = "a list of one dict per label" if multilabel else "a dict from label to weight"
        raise ValueError(f"class_weight must be 'balanced' or {wanted}. Got {class_weight!r}.")
    if multilabel:
        y = y.toarray() if hasattr(y, "toarray") else y
        if len(class_weight) != y.shape[1]:
            raise ValueError(
                f"class_weight has {len(class_weight)} dicts, but y has {y.shape[1]} labels."
            )
        absent, present = ([one.get(k, 1.0) for one in class_weight] for k in (0, 1))
        return np.where(y != 0, present, absent).prod(axis=1)
    unknown = set(class_weight) - set(classes.tolist())
    # A dict for all classes suits a fold that lacks one; one that misses a class may be a slip.
    if unknown and not set(classes.tolist()) <= set(class_weight):
        raise ValueError(
            f"class_weight has labels that are not among the classes: {sorted(unknown, key=str)}. "
            f"The classes are {classes.tolist()}."
        )
    each = np.array([class_weight.get(label, 1.0) for label in classes.tolist()], float)
    return each[np.searchsorted(classes, y)]


def check_class_weight_of_chunk(class_weight: Any) -> None:
    """ValueError for 'balanced' in ``partial_fit``."""
    if isinstance(class_weight, str):
        raise ValueError(
            "class_weight='balanced' cannot be used with partial_fit: one chunk does not tell "
            "how often a class occurs in all data. Pass a dict, for instance dict(zip(classes, "
            "sklearn.utils.class_weight.compute_class_weight('balanced', classes=classes, "
            "y=y_all)))."
        )


def combined(weight: np.ndarray | None, by_class: np.ndarray) -> np.ndarray:
    """The product of both weights; ValueError if no row counts."""
    product = by_class if weight is None else weight * by_class
    if not product.any():
        raise ValueError(
            "class_weight leaves no row that counts: give at least one class of y a weight above 0."
        )
    return product
