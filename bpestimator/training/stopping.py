"""Stopping: whether a model goes on, takes a smaller rate, or stops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import isfinite

from bpestimator.training.schedules import Schedule
from bpestimator.training.state import Run

Log = Callable[[str], None]

# A loss that has grown by this factor since the first epoch has diverged. A smaller factor would
# end runs that scikit-learn completes: Adam at a rate of 100 may reach 1e10 and recover.
DIVERGENCE = 1e20


class Verdict(Enum):
    """The decision after a stall."""

    SHRINK = "shrink the rate"
    STOP = "stop"


class StopReason(Enum):
    """Why training ended."""

    CONVERGED = "converged"
    DIVERGED = "diverged"
    MAX_EPOCHS = "max_epochs"
    MAX_TIME = "max_time"
    CALLBACK = "callback"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Stopping:
    """Stop once ``patience`` epochs in a row have not improved by ``tol``.

    Parameters
    ----------
    tol : float
        Improvement that counts, in units of the training loss or the validation score.
    patience : float
        ``n_iter_no_change``; infinite means never stop.
    """

    tol: float
    patience: float

    def update(self, run: Run) -> bool:
        """Update ``run`` by its latest loss or score; True if this is the best score so far."""
        if run.validation_scores is not None and run.best_validation_score is not None:
            score = run.validation_scores[-1]
            # Comparisons with NaN are False: such a score does not count as a stall.
            stalled = score < run.best_validation_score + self.tol
            is_best = score > run.best_validation_score
            run.best_validation_score = score if is_best else run.best_validation_score
        else:
            loss = run.loss_curve[-1]
            best = run.best_loss if run.best_loss is not None else float("inf")
            stalled = loss > best - self.tol
            is_best = False
            run.best_loss = loss if loss < best else best
        run.stalled = run.stalled + 1 if stalled else 0
        return is_best

    def diverges(self, run: Run) -> bool:
        """Whether the latest loss is not finite, or far above the first of this call."""
        loss, first = run.loss_curve[-1], run.loss_curve[-run.n_iter]
        return not isfinite(loss) or loss > DIVERGENCE * abs(first) > 0

    def decide(self, run: Run, rate: float, schedule: Schedule, log: Log | None) -> Verdict:
        """Whether a ``run`` that has stalled for too long stops or takes a smaller rate."""
        verdict, consequence = Verdict.STOP, "Stopping."
        if schedule.shrink_by is not None:
            if rate <= schedule.smallest:
                consequence = "Learning rate too small. Stopping."
            else:
                verdict = Verdict.SHRINK
                consequence = f"Setting learning rate to {rate / schedule.shrink_by:f}"
                run.stalled = 0
        if log is not None:
            stalled = (
                f"Training loss did not improve more than tol={self.tol:f}"
                if not run.follows_score
                else f"Validation score did not improve more than tol={self.tol:f}"
            )
            log(f"{stalled} for {self.patience:.0f} consecutive epochs. {consequence}")
        return verdict
