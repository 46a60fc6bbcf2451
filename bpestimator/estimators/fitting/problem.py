"""The problem: the data of one fit, and what earlier calls left."""

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
    fresh : whether it begins a new network rather than going on with ``coefs_``
    """

    incremental: bool = False
    fresh: bool = True


class HeldOut(NamedTuple):
    """Rows to validate on.

    x : ndarray or sparse matrix of shape (n, features)
    y : as the user wrote it, validated
    encoded : y as the loss takes it
    weight : ndarray of shape (n,) or None
    """

    x: Any
    y: Any
    encoded: np.ndarray
    weight: np.ndarray | None


@dataclass(frozen=True)
class Problem:
    """What there is to learn, and where training starts.

    Attributes
    ----------
    spec : NetworkSpec
    x : ndarray or sparse matrix of shape (n, features)
    y : as the user wrote it, validated
    targets : Targets
        How y is encoded, weighted and scored.
    encoded : ndarray
        y as the loss takes it.
    weight : ndarray of shape (n,) or None
    params : ndarray of shape (P,)
        Where training starts.
    rng : RandomState
        Source of whatever is random from here on.
    held_out : HeldOut or None
        The user's own rows to validate on.
    rows : ndarray of int, or None
        Which rows of ``x``, ``y``, ``encoded`` and ``weight`` are trained on; None for all.
    warnings : list of Warning
        What the user should know of the data.
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
        """Rows trained on, before any is held out."""
        return int(self.x.shape[0]) if self.rows is None else self.rows.size

    def take(self, rows: np.ndarray) -> HeldOut:
        """Some rows, copied."""
        x = self.x if isinstance(self.x, np.ndarray) else self.x.tocsr()
        weight = None if self.weight is None else self.weight[rows]
        return HeldOut(x[rows], self.y[rows], self.encoded[rows], weight)


@dataclass(frozen=True)
class Earlier:
    """What earlier calls left on the estimator.

    Attributes
    ----------
    has_model : bool
        Whether there is a fitted network.
    samples : int
        ``t_``, the rows seen.
    memory : dict
        What else a call needs to go on exactly: the optimizer's state, the shrunk rate, ...
    attributes : dict
        The fitted attributes.
    """

    has_model: bool = False
    samples: int = 0
    memory: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)

    def run(self) -> Run:
        """The progress of the model so far, in lists of its own.

        A call that fails leaves the estimator's lists as they were.
        """
        known = self.attributes
        scores, losses = known.get("validation_scores_"), known.get("validation_loss_curve_")
        history = known.get("history_")
        run = Run(
            loss_curve=list(known.get("loss_curve_", ())),
            best_loss=known.get("best_loss_", inf),
            validation_scores=None if scores is None else list(scores),
            validation_losses=None if losses is None else list(losses),
            best_validation_score=known.get("best_validation_score_"),
            stalled=self.memory.get("stalled", 0),
        )
        if history is None:
            return run
        return replace(run, history={name: list(column) for name, column in history.items()})


class EpochListener(Listener):
    """A listener that may look at the model as it is after an epoch."""

    def offer(self, model: Callable[[], dict[str, Any]]) -> None:
        """Take a function that returns the fitted attributes as they are now."""


@dataclass
class FitResult:
    """What a call has learnt.

    Attributes
    ----------
    attributes : dict or None
        The fitted attributes; None where training was interrupted too early for a model.
    memory : dict
        What the next call needs besides.
    warnings : list of Warning
        What the user should know.
    dropped : tuple of str
        Fitted attributes of an earlier call that no longer hold.
    """

    attributes: dict[str, Any] | None
    memory: dict[str, Any] = field(default_factory=dict)
    warnings: list[Warning] = field(default_factory=list)
    dropped: tuple[str, ...] = ()


def network_attributes(spec: NetworkSpec, params: np.ndarray) -> dict[str, Any]:
    """The fitted attributes that are the network; ``coefs_`` are views of ``params``."""
    views = spec.layout.bind(params)
    return {
        "coefs_": views.weights,
        "intercepts_": [biases.reshape(-1) for biases in views.biases],
        "n_layers_": len(spec.sizes),
        "n_outputs_": spec.sizes[-1],
        "out_activation_": spec.output_activation.name,
    }


class FitTask(NamedTuple):
    """All that a solver needs to know of one call.

    settings : the estimator's parameters
    call : which call this is
    problem : what there is to learn
    earlier : what earlier calls left
    attributes : the fitted attributes that the data alone decide
    model_at : from parameters of shape (P,) to an estimator fitted so far, for the user's scorers
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
        """The fitted attributes if training stopped here, in arrays of their own."""
        return {
            **self.earlier.attributes,
            **self.attributes,
            **network_attributes(self.problem.spec, params.copy()),
            "loss_curve_": list(losses),
            "n_iter_": len(losses),
            "loss_": losses[-1],
        }
