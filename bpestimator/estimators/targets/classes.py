"""Classes as targets: binary, multiclass or multilabel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from bpestimator.estimators.parameters import ClassifierSettings
from bpestimator.estimators.targets.scores import accuracy
from bpestimator.estimators.targets.targets import Targets, dense
from bpestimator.estimators.targets.weights import class_weights, combined
from bpestimator.nn import ALL_OUTPUT_ACTIVATIONS

MULTILABEL = "multilabel-indicator"


@dataclass(frozen=True)
class ClassTargets(Targets):
    """Classes, encoded as the loss takes them.

    The targets are 1 for a row's class and 0 for the others. Their shape is (n, 1) for one or two
    classes, (n, labels) for multilabel y, and (n, classes) for more classes; a loss for more
    classes may take integer labels of shape (n,) instead. Smoothing by s turns 1 into 1 - s + s / k
    and 0 into s / k, where k is the number of classes (2 for one or two classes, and for each
    label).

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted; for multilabel y, the column numbers.
    multilabel : bool
    is_sparse : bool
        Whether y is a sparse matrix.
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
        """The targets of y.

        Parameters
        ----------
        y : ndarray or sparse matrix
        settings : ClassifierSettings
        classes : ndarray of shape (n_classes,) or None
            All classes, if they are known; None takes them from y.
        same : bool
            Whether every one of ``classes`` must occur in y.

        Raises
        ------
        ValueError
            For a y that does not hold classes, or that has classes which are not allowed.
        """
        kind = kind_of(y)
        found = classes_of(y, kind)
        classes = found if classes is None else classes
        check_classes(found, classes, same=same)
        loss = settings.loss_object
        n_outputs, out_activation = len(classes), "softmax"
        smoothing = float(settings.label_smoothing)
        if kind == MULTILABEL:
            loss, n_outputs, out_activation = loss.binary, y.shape[1], "logistic"
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
            encoded = (dense(y) != 0).astype(dtype)
        elif not self._is_softmax:
            is_second_class = np.zeros(len(y)) if len(self.classes) == 1 else y == self.classes[1]
            encoded = is_second_class.astype(dtype).reshape(-1, 1)
        else:
            labels = np.searchsorted(self.classes, y)
            if self.loss.takes_labels:
                return labels
            encoded = (labels[:, None] == np.arange(len(self.classes))).astype(dtype)
        if self.label_smoothing:
            n_choices = len(self.classes) if self._is_softmax else 2
            encoded = encoded * (1 - self.label_smoothing) + self.label_smoothing / n_choices
        return encoded

    def check_same_form(self, n_outputs: int, out_activation: str) -> None:
        """ValueError if y has labels where a fitted network had classes, or the reverse."""
        had_labels = n_outputs > 1 and out_activation == "logistic"
        if self.multilabel == had_labels or n_outputs == 1 == self.n_outputs:
            return
        forms = ["a class per row", "a column per label"]
        raise ValueError(
            f"y has {forms[self.multilabel]}, but the network was fitted with "
            f"{forms[had_labels]}. Pass y in that form, or fit a new network: call fit with "
            "warm_start=False."
        )

    def check_held_out(self, y: Any) -> None:
        kind = kind_of(y)
        found = classes_of(y, kind)
        if np.setdiff1d(found, self.classes).size:
            raise ValueError(
                f"y_val has classes {found}, but y has only {self.classes}. Leave out the rows of "
                "y_val with other classes."
            )
        n_labels = [y.shape[1] if kind == MULTILABEL else 0]
        n_labels.append(self.n_outputs if self.multilabel else 0)
        if n_labels[0] != n_labels[1]:
            raise ValueError(
                f"y_val has {n_labels[0]} columns of labels, but y has {n_labels[1]}: pass both "
                "with the same labels."
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
        """The class numbers of encoded targets; 0 or 1 for each output of a logistic network."""
        if encoded.ndim == 1:
            return encoded
        if self._is_softmax:
            return encoded.argmax(axis=1)
        codes = (encoded > 0.5).astype(int)
        return codes[:, 0] if codes.shape[1] == 1 else codes


def kind_of(y: Any) -> str:
    """The kind of target, in scikit-learn's terms.

    Returns
    -------
    str
        'binary', 'multiclass' or 'multilabel-indicator'.

    Raises
    ------
    ValueError
        For any other kind.
    """
    kind = type_of_target(y, input_name="y")
    if "multioutput" in kind:
        raise ValueError(
            "Multioutput targets with more than two classes per output are not supported. Fit "
            "one classifier per output, for instance with "
            "sklearn.multioutput.MultiOutputClassifier."
        )
    if kind not in ("binary", "multiclass", MULTILABEL):
        check_classification_targets(y)  # raises an error that suggests what y is
    if kind == MULTILABEL:
        _check_indicator(y)
    return str(kind)


def _check_indicator(y: Any) -> None:
    """ValueError if a label matrix holds anything but 0 and 1."""
    values = np.unique(y.data if issparse(y) else y)
    if not np.isin(values, (0, 1)).all():
        raise ValueError(
            "A label matrix must hold 1 where a row has a label and 0 where it has not, or True "
            f"and False. Got the values {values.tolist()}: pass (y > 0), or what else says which "
            "labels a row has."
        )


def classes_of(y: Any, kind: str) -> np.ndarray:
    """The sorted classes of y; for multilabel y, the column numbers."""
    if kind == MULTILABEL:
        return np.arange(y.shape[1])
    classes = np.unique(y)
    # Strings become a NumPy array of the shortest string type. So does unique_labels, which
    # the classes of partial_fit go through.
    return np.array(classes.tolist()) if classes.dtype.kind in "OU" else classes


def check_classes(found: np.ndarray, classes: np.ndarray, *, same: bool) -> None:
    """Check the classes of y against the known classes.

    Raises
    ------
    ValueError
        If y has a class that is not in ``classes``; with ``same``, also if one does not occur.
    """
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
    """The classes of a network that ``partial_fit`` trains.

    Parameters
    ----------
    classes : array-like or None
        As the user passed them: needed in the first call, optional in later ones.
    known : ndarray of shape (n_classes,) or None
        The classes of earlier calls.

    Raises
    ------
    ValueError
        If the first call passes no classes, or a later call passes other classes.
    """
    if known is None:
        if classes is None:
            raise ValueError(
                "classes must be passed on the first call to partial_fit. Pass every class that "
                "occurs in any chunk, such as classes=np.unique(y_all)."
            )
        return unique_labels(classes)
    if classes is not None and not np.array_equal(known, unique_labels(classes)):
        raise ValueError(
            f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {known!r}"
        )
    return known


def decode_classes(predictions: np.ndarray, classes: np.ndarray, out_activation: str) -> np.ndarray:
    """The predicted classes.

    Parameters
    ----------
    predictions : ndarray of shape (n, outputs)
        Probabilities.
    classes : ndarray of shape (n_classes,)
    out_activation : str
        The name of the output activation: 'softmax' or 'logistic'.

    Returns
    -------
    ndarray of shape (n,), or (n, labels) of 0 and 1 for multilabel predictions
    """
    if out_activation == "softmax":
        return np.take(classes, predictions.argmax(axis=1))
    if predictions.shape[1] > 1:
        return (predictions > 0.5).astype(int)
    is_second_class = (predictions[:, 0] > 0.5) & (len(classes) > 1)
    return classes.take(is_second_class.astype(int))
