"""Callbacks: call the hooks of scikit-learn's callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bpestimator.estimators.fitting.problem import EpochListener


class CallbackListener(EpochListener):
    """Calls the hooks of an estimator's callbacks, before and after the fit and each epoch.

    Parameters
    ----------
    estimator : object
        Has the callbacks. The hooks receive it.
    epoch_name : str
        'epoch', or 'iteration' with 'lbfgs'.
    max_epochs : int
    X, y, sample_weight
        As the user passed them. The hooks receive them.
    """

    def __init__(
        self,
        estimator: Any,
        epoch_name: str,
        max_epochs: int,
        X: Any,
        y: Any,
        sample_weight: Any,
    ) -> None:
        self._epoch_name = epoch_name
        self._model: Callable[[], dict[str, Any]] = dict
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._data = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self._fit = estimator._init_callback_context(max_subtasks=max_epochs)
        self._fit.call_on_fit_task_begin(**self._data)

    def offer(self, model: Callable[[], dict[str, Any]]) -> None:
        self._model = model

    def begin_epoch(self) -> None:
        self._epoch = self._fit.subcontext(task_name=self._epoch_name)
        self._epoch.call_on_fit_task_begin(**self._data)

    def end_epoch(self) -> bool:
        return bool(
            self._epoch.call_on_fit_task_end(**self._data, reconstruction_attributes=self._model)
        )

    def end_fit(self) -> None:
        """Call the hooks after the fit."""
        self._fit.call_on_fit_task_end(**self._data)
