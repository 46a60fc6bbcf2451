"""The problem: the data and the network of one call, and the results of earlier calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, NamedTuple

import numpy as np

from bpestimator.estimators.parameters import Settings
from bpestimator.estimators.targets import Targets
from bpestimator.nn import NetworkSpec
from bpestimator.training import Listener, Run


class Call(NamedTuple):
    """One call of ``fit`` or ``partial_fit``.

    incremental : whether it is ``partial_fit``
    fresh : whether it trains a new network rather than the fitted one
    """

    incremental: bool = False
    fresh: bool = True


class HeldOut(NamedTuple):
    """Validation rows.

    x : ndarray or sparse matrix of shape (n, features)
    y : validated, but not encoded
    encoded : y as the loss takes it
    weight : ndarray of shape (n,) or None
    """

    x: Any
    y: Any
    encoded: np.ndarray
    weight: np.ndarray | None


@dataclass(frozen=True)
class Problem:
    """The data to train on, the network and its initial parameters.

    Attributes
    ----------
    spec : NetworkSpec
    x : ndarray or sparse matrix of shape (n, features)
    y : ndarray or sparse matrix
        Validated, but not encoded.
    targets : Targets
        How y is encoded, weighted and scored.
    encoded : ndarray
        y as the loss takes it.
    weight : ndarray of shape (n,) or None
    params : ndarray of shape (P,)
        The initial parameters.
    rng : RandomState
        The source of all random numbers after initialization.
    held_out : HeldOut or None
        The validation rows that the user passed.
    rows : ndarray of int, or None
        The rows of ``x``, ``y``, ``encoded`` and ``weight`` to train on; None for all.
    warnings : list of Warning
        Warnings about the data, to be issued later.
    """

    spec: NetworkSpec
    x: Any
    y: Any
    targets: Targets
    encoded: np.ndarray
    weight: np.ndarray | None
    params: np.ndarray
    rng: np.random.RandomState
    held_out: HeldOut | None = None
    rows: np.ndarray | None = None
    warnings: list[Warning] = field(default_factory=list)

    @property
    def n_rows(self) -> int:
        """The number of rows, before early stopping holds some out."""
        return int(self.x.shape[0]) if self.rows is None else self.rows.size

    def take(self, rows: np.ndarray) -> HeldOut:
        """A copy of some rows."""
        x = self.x if isinstance(self.x, np.ndarray) else self.x.tocsr()
        weight = None if self.weight is None else self.weight[rows]
        return HeldOut(x[rows], self.y[rows], self.encoded[rows], weight)


@dataclass(frozen=True)
class Earlier:
    """The results of earlier calls, which this call may continue.

    Attributes
    ----------
    has_model : bool
        Whether there is a fitted network.
    samples : int
        ``t_``, the number of samples seen.
    memory : dict
        What else a call needs to continue exactly, such as the optimizer's state and the decreased
        learning rate.
    attributes : dict
        The fitted attributes.
    """

    has_model: bool = False
    samples: int = 0
    memory: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)

    def run(self) -> Run:
        """The progress of the model so far, in copies of the estimator's lists.

        So a call that fails does not change these lists.
        """
        attributes = self.attributes
        scores, losses = (
            attributes.get("validation_scores_"),
            attributes.get("validation_loss_curve_"),
        )
        history = attributes.get("history_")
        run = Run(
            loss_curve=list(attributes.get("loss_curve_", ())),
            best_loss=attributes.get("best_loss_", inf),
            validation_scores=None if scores is None else list(scores),
            validation_losses=None if losses is None else list(losses),
            best_validation_score=attributes.get("best_validation_score_"),
            stalled=self.memory.get("stalled", 0),
        )
        if history is None:
            return run
        return replace(run, history={name: list(column) for name, column in history.items()})


class EpochListener(Listener):
    """A listener that can read the fitted attributes after each epoch."""

    def offer(self, model: Callable[[], dict[str, Any]]) -> None:
        """Receive ``model``, which returns the current fitted attributes when it is called."""


@dataclass
class FitResult:
    """The result of training: fitted attributes, and warnings to issue.

    Attributes
    ----------
    attributes : dict or None
        The fitted attributes; None if training was interrupted before there was a model.
    memory : dict
        What else the next call needs to continue.
    warnings : list of Warning
        Warnings to issue after the attributes are set.
    dropped : tuple of str
        Fitted attributes of an earlier call to remove, since they no longer hold.
    """

    attributes: dict[str, Any] | None
    memory: dict[str, Any] = field(default_factory=dict)
    warnings: list[Warning] = field(default_factory=list)
    dropped: tuple[str, ...] = ()


def network_attributes(spec: NetworkSpec, params: np.ndarray) -> dict[str, Any]:
    """The fitted attributes that describe the network; ``coefs_`` are views of ``params``."""
    views = spec.layout.bind(params)
    return {
        "coefs_": views.weights,
        "intercepts_": [biases.reshape(-1) for biases in views.biases],
        "n_layers_": len(spec.sizes),
        "n_outputs_": spec.sizes[-1],
        "out_activation_": spec.output_activation.name,
    }


class FitTask(NamedTuple):
    """All that a solver needs for one call.

    settings : the parameters of the estimator
    call : which method was called, and on which network
    problem : the data, the network and its initial parameters
    earlier : the results of earlier calls
    attributes : the fitted attributes that depend on the data alone
    model_at : takes parameters of shape (P,), returns a fitted estimator for the user's scorers
    listener : hooks called before and after each epoch, or None
    """

    settings: Settings
    call: Call
    problem: Problem
    earlier: Earlier
    attributes: dict[str, Any]
    model_at: Callable[[np.ndarray], Any]
    listener: EpochListener | None = None

    def attributes_at(self, params: np.ndarray, losses: list[float]) -> dict[str, Any]:
        """The fitted attributes for these parameters and losses, in copies."""
        return {
            **self.earlier.attributes,
            **self.attributes,
            **network_attributes(self.problem.spec, params.copy()),
            "loss_curve_": list(losses),
            "n_iter_": len(losses),
            "loss_": losses[-1],
        }
