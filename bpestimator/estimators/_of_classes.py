"""What training needs to know of classes: their codes, their weights, their score."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.multiclass import unique_labels

from bpestimator.estimators import _options as options
from bpestimator.estimators import _targets
from bpestimator.estimators._base import BaseBackprop, FitCall
from bpestimator.estimators._scores import accuracy
from bpestimator.estimators._targets import Task


class OfClasses(BaseBackprop):
    """Training where y names classes, or labels that a row has or has not."""

    classes_: np.ndarray
    _fitted_attributes: ClassVar[set[str]] = BaseBackprop._fitted_attributes | {"classes_"}
    _takes_sparse_y = False

    def _check_announced(self, classes: Any) -> np.ndarray | None:
        """The classes that the first ``partial_fit`` announces; None in later calls."""
        known = getattr(self, "classes_", None)
        if known is None:
            if classes is None:
                raise ValueError(
                    "classes must be passed on the first call to partial_fit: every class there "
                    "will ever be, such as classes=np.unique(y_all)."
                )
            return unique_labels(classes)
        if classes is not None and not np.array_equal(known, unique_labels(classes)):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                f"{known!r}"
            )
        return None

    def _meet(self, y: Any, call: FitCall) -> str:
        kind = _targets.kind_of(y)
        found = _targets.classes_of(y, kind)
        if call.classes is not None:
            classes = call.classes
        elif call.fresh or not hasattr(self, "classes_"):
            classes = found
        else:
            classes = self.classes_
        warm = not (call.fresh or call.incremental)
        _targets.check_classes(found, classes, same=warm)
        self.classes_ = classes
        self._takes_sparse_y = issparse(y)
        return kind

    def _meet_held_out(self, y: Any) -> str:
        kind = _targets.kind_of(y)
        found = _targets.classes_of(y, kind)
        if np.setdiff1d(found, self.classes_).size:
            raise ValueError(f"y_val has classes {found}, but y has only {self.classes_}.")
        return kind

    def _encode(self, y: Any, kind: str, dtype: Any) -> Task:
        loss, smoothing = options.loss_of(self), float(self.label_smoothing)
        return _targets.encode_classes(y, kind, self.classes_, dtype, loss, smoothing)

    def _weigh(self, y: Any, weight: np.ndarray | None, call: FitCall) -> np.ndarray | None:
        if self.class_weight is None:
            return weight
        if call.incremental:
            _targets.check_class_weight_of_chunk(self.class_weight)
        by_class = _targets.class_weights(y, self.class_weight, self.classes_)
        return _targets.combined(weight, by_class)

    def _weigh_held_out(self, y_val: Any, weight: np.ndarray | None, y: Any) -> np.ndarray | None:
        if self.class_weight is None:
            return weight
        by_class = _targets.class_weights(y_val, self.class_weight, self.classes_, counted=y)
        return _targets.combined(weight, by_class)

    def _strata(self, targets: np.ndarray) -> np.ndarray | None:
        is_binary = targets.ndim == 2 and targets.shape[1] == 1
        return targets > 0.5 if is_binary else None

    def _score_predictions(
        self,
        targets: np.ndarray,
        predictions: np.ndarray,
        weight: np.ndarray | None,
        out_activation: str,
    ) -> float:
        codes = np.arange(len(self.classes_))
        truth = _targets.codes_of(targets, out_activation)
        predicted = _targets.decode_classes(predictions, codes, out_activation)
        return accuracy(truth, predicted, weight)
