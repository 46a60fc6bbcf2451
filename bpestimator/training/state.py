"""State: everything that must survive for training to go on as if it had never stopped."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from math import inf, nan
from typing import Any

import numpy as np

from bpestimator.nn.arrays import Array
from bpestimator.training.schedules import Clock
from bpestimator.training.streams import RandomStream, shared_copies

COLUMNS = ("epoch", "loss", "validation_loss", "validation_score", "learning_rate", "seconds")
N_COLUMNS = len(COLUMNS)


def _empty_history() -> dict[str, list[float]]:
    return {name: [] for name in COLUMNS}


@dataclass
class Run:
    """The progress of one model.

    Attributes
    ----------
    n_iter : int
        Epochs of this call.
    loss_curve : list of float
        The penalised training loss of each epoch, over all calls.
    best_loss : float or None
        Lowest training loss; None where a validation score decides instead.
    validation_scores, validation_losses : list of float, or None
        The score and the loss of the held-out rows after each epoch; None without such rows.
    best_validation_score : float or None
        None where the training loss decides.
    best_params : ndarray of shape (P,) or None
        Parameters of the best validation score; None until there is one.
    stalled : int
        Epochs in a row without an improvement of at least ``tol``.
    diverged : bool
        Whether the loss became infinite, NaN, or far larger than the first.
    first_epoch_was_finite : bool
        Whether the first epoch of this call has ended with finite parameters.
    start_params : ndarray of shape (P,) or None
        The parameters before the latest epoch.
    safe_params, lowest_loss, epoch_kept : ndarray of shape (P,) or None, float, int
        The parameters before the epoch of the lowest training loss of this call, that loss, and
        the number of the epoch before: the result of a run that diverges. An epoch's loss belongs
        to the parameters before it; those after it may be infinite already.
    history : dict of lists of float
        One entry for each epoch, over all calls; NaN where there is no such number.
    """

    n_iter: int = 0
    loss_curve: list[float] = field(default_factory=list)
    best_loss: float | None = inf
    validation_scores: list[float] | None = None
    validation_losses: list[float] | None = None
    best_validation_score: float | None = None
    best_params: Array | None = None
    stalled: int = 0
    diverged: bool = False
    first_epoch_was_finite: bool = False
    start_params: Array | None = None
    safe_params: Array | None = None
    lowest_loss: float = inf
    epoch_kept: int = 0
    history: dict[str, list[float]] = field(default_factory=_empty_history)

    @property
    def follows_score(self) -> bool:
        """Whether the validation score decides rather than the training loss."""
        return self.best_validation_score is not None

    def record_epoch(
        self, loss: float, *, learning_rate: float = nan, seconds: float = nan, **others: float
    ) -> None:
        """Add an epoch to the history; unknown entries are NaN, in earlier epochs too."""
        history = self.history
        epochs = history["epoch"]
        # One by one: in small networks a loop over the columns would be noticeable.
        epochs.append(len(epochs) + 1)
        history["loss"].append(loss)
        history["validation_loss"].append(nan)
        history["validation_score"].append(nan)
        history["learning_rate"].append(learning_rate)
        history["seconds"].append(seconds)
        if others or len(history) > N_COLUMNS:
            for name in dict.fromkeys([*list(history)[N_COLUMNS:], *others]):
                column = history.setdefault(name, [nan] * (len(epochs) - 1))
                column.append(others.get(name, nan))

    def record_validation(self, score: float, loss: float) -> None:
        """Add the score and the loss of the held-out rows to the latest epoch."""
        for name, value in (("validation_score", score), ("validation_loss", loss)):
            self.history[name][-1] = value
        self.validation_scores = self.validation_scores if self.validation_scores else []
        self.validation_losses = self.validation_losses if self.validation_losses else []
        self.validation_scores.append(score)
        self.validation_losses.append(loss)

    def mend(self) -> None:
        """Remove an epoch that was interrupted before it was complete."""
        whole = min(map(len, self.history.values()))
        for column in self.history.values():
            del column[whole:]
        if len(self.loss_curve) == whole + 1:
            self.loss_curve.pop()
            self.n_iter -= 1

    def begin_epoch(self, params: Array) -> None:
        """Keep the parameters that an epoch starts from."""
        if self.n_iter == 1:
            self.first_epoch_was_finite = bool(np.isfinite(params).all())
        if self.start_params is None:
            self.start_params = params.copy()
        else:
            np.copyto(self.start_params, params)

    def keep_start(self) -> None:
        """Make the epoch's first parameters the safe ones, if its loss is the lowest so far."""
        loss = self.loss_curve[-1]
        if loss < self.lowest_loss:
            self.lowest_loss, self.epoch_kept = loss, self.n_iter - 1
            self.start_params, self.safe_params = self.safe_params, self.start_params


@dataclass
class TrainState:
    """Parameters, the optimizer's state, clock, random streams, progress.

    Attributes
    ----------
    params : ndarray of shape lead + (P,)
    optimizer : dict of arrays and numbers
    initial_rate : ndarray of shape lead + (1,)
        ``learning_rate_init``, divided at each stall so far.
    streams : list of RandomStream
        One per model, in C order of ``lead``; models may share one.
    runs : list of Run
        One per model, in the same order.
    clock : Clock
    rate : ndarray of shape lead + (1,) or None
        The learning rate of the last step.
    """

    params: Array
    optimizer: dict[str, Any]
    initial_rate: Array
    streams: list[RandomStream]
    runs: list[Run]
    clock: Clock = field(default_factory=Clock)
    rate: Array | None = None

    def of(self, model: int) -> TrainState:
        """A copy of the state of one of several models, as if it had been trained alone."""
        memory = {}
        for name, value in self.optimizer.items():
            own = value[model].copy() if isinstance(value, np.ndarray) else value
            memory[name] = float(own[0]) if np.shape(own) == (1,) else own
        return replace(
            self,
            params=self.params[model].copy(),
            optimizer=memory,
            initial_rate=self.initial_rate[model].copy(),
            streams=[self.streams[model].copy()],
            runs=[self.runs[model]],
            clock=self.clock._replace(
                samples=int(np.ravel(self.clock.of_models(model).samples)[0])
            ),
            rate=None if self.rate is None else self.rate[model].copy(),
        )

    def to_dict(self) -> dict[str, Any]:
        """A deep copy in plain arrays, dicts, lists and numbers."""
        return {
            "params": self.params.copy(),
            "optimizer": deepcopy(self.optimizer),
            "initial_rate": self.initial_rate.copy(),
            "clock": self.clock._asdict(),
            "streams": [stream.to_dict() for stream in self.streams],
            "runs": [asdict(run) for run in self.runs],
            "rate": None if self.rate is None else self.rate.copy(),
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> TrainState:
        """A state equal to the one that :meth:`to_dict` saved, with arrays of its own."""
        saved = deepcopy(saved)
        return cls(
            params=saved["params"],
            optimizer=saved["optimizer"],
            initial_rate=saved["initial_rate"],
            clock=Clock(**saved["clock"]),
            streams=shared_copies(map(RandomStream.from_dict, saved["streams"])),
            runs=[Run(**run) for run in saved["runs"]],
            rate=saved["rate"],
        )
