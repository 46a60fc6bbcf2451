"""Callbacks: what scikit-learn's callbacks are told of a fit."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from bpestimator.estimators._sklearn_compat import has_callbacks

if TYPE_CHECKING:
    from bpestimator.estimators._base import BaseBackprop
    from bpestimator.estimators._solvers import Problem


class CallbackListener:
    """Calls the hooks of an estimator's callbacks: of its fit, and of each epoch within.

    Parameters
    ----------
    est : BaseBackprop
    task : str
        What an epoch is called: 'epoch', or 'iteration' with 'lbfgs'.
    max_epochs : int
    X, y, sample_weight
        As the user passed them.
    """

    def __init__(
        self, est: BaseBackprop, task: str, max_epochs: int, X: Any, y: Any, sample_weight: Any
    ) -> None:
        self._est, self._task = est, task
        self._model: Callable[[], dict[str, Any]] = dict
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._data = {"estimator": est, "X": X, "y": y, "metadata": metadata}
        self._fit = est._init_callback_context(max_subtasks=max_epochs)
        self._fit.call_on_fit_task_begin(**self._data)

    def offer(self, model: Callable[[], dict[str, Any]]) -> None:
        """Let callbacks have ``fitted_estimator``, of the attributes that ``model`` returns."""
        self._model = model

    def begin_epoch(self) -> None:
        self._epoch = self._fit.subcontext(task_name=self._task)
        self._epoch.call_on_fit_task_begin(**self._data)

    def end_epoch(self) -> bool:
        return bool(
            self._epoch.call_on_fit_task_end(**self._data, reconstruction_attributes=self._model)
        )

    def end_fit(self) -> None:
        self._fit.call_on_fit_task_end(**self._data)


def listener_of(
    est: BaseBackprop, task: str, max_epochs: int, X: Any, y: Any, sample_weight: Any
) -> CallbackListener | None:
    """A monitor, or None where nobody listens."""
    if not has_callbacks(est):
        return None
    return CallbackListener(est, task, max_epochs, X, y, sample_weight)


def model_of(
    est: BaseBackprop, problem: Problem, params: np.ndarray, loss_curve: list[float]
) -> dict[str, Any]:
    """The fitted attributes if training stopped here, in arrays of their own."""
    view = copy(est)
    view._publish(problem, params.copy(), {})
    view.loss_curve_, view.n_iter_ = list(loss_curve), len(loss_curve)
    view.loss_ = loss_curve[-1]
    return {name: value for name, value in vars(view).items() if name.endswith("_")}
