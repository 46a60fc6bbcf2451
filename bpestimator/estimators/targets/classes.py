"""Classes as targets: labels of one kind, or several labels that a row has or has not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from bpestimator.estimators.parameters import ClassifierSettings
from bpestimator.estimators.targets.scores import accuracy
from bpestimator.estimators.targets.targets import Targets
from bpestimator.estimators.targets.weights import class_weights, combined
from bpestimator.nn import ALL_OUTPUT_ACTIVATIONS

MULTILABEL = "multilabel-indicator"


@dataclass(frozen=True)
class ClassTargets(Targets):
    """Classes, encoded as the loss takes them.

    The targets are 1 for a row's class and 0 for the others: of shape (n, 1) for one or two
    classes, (n, labels) for multilabel y, (n, classes) for more classes, for which a loss may
    take integer labels instead. Smoothing by s turns them into 1 - s + s / k and s / k, for k
    classes (2 for each output of one or two classes, and for each label).

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted; the columns' numbers where y is multilabel.
    multilabel : bool
    is_sparse : bool
        Whether y was a sparse matrix.
    label_smoothing : float
    class_weight : dict, list of dict, str or None
    """

    classes: np.ndarray
    multilabel: bool
    is_sparse: bool
    label_smoothing: float = 0.0
    class_weight: Any = None

    @classmethod
    def of(
        cls, y: Any, settings: ClassifierSettings, classes: np.ndarray | None, *, same: bool
    ) -> ClassTargets:
        """The targets of a y whose classes are among ``classes``, where these are known.

        Raises
        ------
        ValueError
            For a y that is no classes, or has one outside ``classes``; if ``same``, also unless
            all of them occur.
        """
        kind = kind_of(y)
        found = classes_of(y, kind)
        classes = found if classes is None else classes
        check_classes(found, classes, same=same)
        loss = settings.loss_object
        n_outputs, out_activation = len(classes), "softmax"
        smoothing = float(settings.label_smoothing)
        if kind == MULTILABEL:
            loss, out_activation = loss.binary, "logistic"
        elif len(classes) <= 2:
            loss, n_outputs, out_activation = loss.binary, 1, "logistic"
        elif smoothing or not loss.takes_labels:
            loss = loss.soft
        return cls(
            loss=loss,
            output_activation=ALL_OUTPUT_ACTIVATIONS[out_activation],
            n_outputs=n_outputs,
            classes=classes,
            multilabel=kind == MULTILABEL,
            is_sparse=issparse(y),
            label_smoothing=smoothing,
            class_weight=settings.class_weight,
        )

    @property
    def attributes(self) -> dict[str, Any]:
        return {"classes_": self.classes, "_takes_sparse_y": self.is_sparse}

    @property
    def _is_softmax(self) -> bool:
        return self.output_activation.name == "softmax"

    def encode(self, y: Any, dtype: Any) -> np.ndarray:
        if self.multilabel:
            encoded = (_dense(y) != 0).astype(dtype)
        elif not self._is_softmax:
            is_second = np.zeros(len(y)) if len(self.classes) == 1 else y == self.classes[1]
            encoded = is_second.astype(dtype).reshape(-1, 1)
        else:
            labels = np.searchsorted(self.classes, y)
            if self.loss.takes_labels:
                return labels
            encoded = (labels[:, None] == np.arange(len(self.classes))).astype(dtype)
        if self.label_smoothing:
            n_choices = len(self.classes) if self._is_softmax else 2
            encoded = encoded * (1 - self.label_smoothing) + self.label_smoothing / n_choices
        return encoded

    def check_held_out(self, y: Any) -> None:
        kind = kind_of(y)
        found = classes_of(y, kind)
        if np.setdiff1d(found, self.classes).size:
            raise ValueError(f"y_val has classes {found}, but y has only {self.classes}.")
        n_labels = [y.shape[1] if kind == MULTILABEL else 0]
        n_labels.append(self.n_outputs if self.multilabel else 0)
        if n_labels[0] != n_labels[1]:
            raise ValueError(
                f"y_val has {n_labels[0]} columns of labels, but y has {n_labels[1]}: pass both "
                "in one form."
            )

    def weights(
        self, y: Any, sample_weight: np.ndarray | None, *, counted: Any = None
    ) -> np.ndarray | None:
        if self.class_weight is None:
            return sample_weight
        by_class = class_weights(y, self.class_weight, self.classes, counted)
        return combined(sample_weight, by_class)

    def strata(self, encoded: np.ndarray) -> np.ndarray | None:
        is_binary = encoded.ndim == 2 and encoded.shape[1] == 1
        return encoded > 0.5 if is_binary else None

    def score(
        self, encoded: np.ndarray, predictions: np.ndarray, weight: np.ndarray | None
    ) -> float:
        codes = np.arange(len(self.classes))
        predicted = decode_classes(predictions, codes, self.output_activation.name)
        return accuracy(self._codes(encoded), predicted, weight)

    def _codes(self, encoded: np.ndarray) -> np.ndarray:
        """The integer labels that encoded targets stand for; 0 and 1 where they are logistic."""
        if encoded.ndim == 1:
            return encoded
        if self._is_softmax:
            return encoded.argmax(axis=1)
        codes = (encoded > 0.5).astype(int)
        return codes[:, 0] if codes.shape[1] == 1 else codes


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


def announced_classes(classes: Any, known: np.ndarray | None) -> np.ndarray:
    """The classes that ``partial_fit`` is told of, which later calls may repeat.

    Raises
    ------
    ValueError
        If the first call names none, or a later one names others.
    """
    if known is None:
        if classes is None:
            raise ValueError(
                "classes must be passed on the first call to partial_fit: every class there "
                "will ever be, such as classes=np.unique(y_all)."
            )
        return unique_labels(classes)
    if classes is not None and not np.array_equal(known, unique_labels(classes)):
        raise ValueError(
            f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {known!r}"
        )
    return known


def decode_classes(predictions: np.ndarray, classes: np.ndarray, out_activation: str) -> np.ndarray:
    """The classes that probabilities of shape (n, outputs) speak for."""
    if out_activation == "softmax":
        return np.take(classes, predictions.argmax(axis=1))
    if predictions.shape[1] > 1:
        return (predictions > 0.5).astype(int)
    likely = (predictions[:, 0] > 0.5) & (len(classes) > 1)
    return classes.take(likely.astype(int))


def _dense(y: Any) -> Any:
    return y.toarray() if hasattr(y, "toarray") else y
