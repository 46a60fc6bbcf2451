"""The rate finder: how ``learning_rate_init="auto"`` finds a rate before training.

Five networks train for four epochs, each at another constant learning rate. All start from the same
initial weights and see the rows in the same order. A fifth of the rows is held out, and the loss on
these rows measures each rate. As the rate increases, this loss decreases at first, is nearly
constant over a range of rates, and then diverges. The finder chooses the smallest rate whose loss
is close to the lowest:

    min { rate : L(rate) <= min L + 0.1 },

where L is the logarithm of the held-out loss, smoothed over neighbouring rates with the weights
1/4, 1/2, 1/4. The smallest such rate is well below the rates that diverge.

Two cases need more trials:

- Every trial diverges, as with 'sgd' on targets in the hundreds. Then rates a hundred times lower
  are tried, several times if necessary.
- The decrease of the loss is still proportional to the rate, as on a hundred rows with targets in
  the hundreds. Then the trials are too short to tell the rates apart, and trials four times as long
  are tried.

The rate found suits a training of about 25 epochs, six times as long as a trial. Longer training
ends at a lower loss with a smaller rate, so the rate is multiplied by min(1, 25 / max_iter). It is
not multiplied with early stopping, with 'sgd', or if the decrease is still proportional to the
rate. docs/rate-study.md compares this procedure with a grid of 13 rates; its constants were chosen
by that comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf, isfinite
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

from bpestimator.estimators.fitting.problem import Problem
from bpestimator.estimators.parameters import Settings, batch_size_of
from bpestimator.estimators.threads import blas_threads, largest_product
from bpestimator.nn import NetworkSpec, mean_loss, predict
from bpestimator.training import (
    Batches,
    Constant,
    RandomStream,
    Run,
    Stopping,
    StopReason,
    TrainingRules,
    TrainState,
    group_size,
    stacked_state,
    train,
)

# The rates that suit most tables of data, in steps of a factor of 2.5.
RATES = tuple(10 ** (-3 + 0.4 * k) for k in range(5))
# 'sgd' does not divide by the size of the gradient, and needs larger rates.
SGD_FACTOR = 10.0
# Five trials of four epochs cost 20 epochs, a tenth of the default max_iter.
TRIAL_EPOCHS = 4
# More rows than these make a trial slower, but hardly more precise.
TRIAL_ROWS = 20_000
# The share of the rows that measures the trials.
HELD_OUT = 0.2
# How far the log of the loss may exceed the lowest, and the training that the rate suits: chosen in
# docs/rate-study.md.
SLACK = 0.1
EPOCHS_SUITED = 25
# The decrease of the loss is proportional to the rate if that of the highest rate is at least this
# many times that of the third highest, which is 6.3 times lower.
PROPORTIONAL = 4.0
# Longer trials are not needed after this many steps. They are not tried either if they would take
# more than this share of max_iter.
ENOUGH_STEPS, MOST_OF_MAX_ITER = 64, 0.25
LONGER_FACTOR = 4
# A trial has diverged if its loss exceeds that of the untrained network, L, by this many times |L|.
DIVERGED = 10.0
# How many times the finder may try lower rates, or longer trials.
MORE_ATTEMPTS = 4
LOWER_FACTOR = 100.0
# The log of a loss that is not finite is taken as the largest finite log plus this, more than a
# finite log can differ from another that matters.
DIVERGED_LOG_EXCESS = 20.0


class Finding(NamedTuple):
    """A learning rate, and why it was chosen.

    rate : the rate
    reason : a sentence for the user
    rates, losses : ndarray of shape (n_rates,), the rates tried and their held-out losses
    """

    rate: float
    reason: str
    rates: np.ndarray
    losses: np.ndarray


def find_rate(settings: Settings, problem: Problem, rules: TrainingRules) -> Finding:
    """Try several rates, and choose one.

    Parameters
    ----------
    settings : Settings
    problem : Problem
        Not changed, and neither is the state of its random numbers.
    rules : TrainingRules
        How to train; the trials replace the schedule and the stopping rule.
    """
    max_iter = int(settings.max_iter)
    batch_size = batch_size_of(settings.batch_size, problem.n_rows)
    rates = np.array(RATES) * (1.0 if rules.optimizer.scales_by_gradient_size else SGD_FACTOR)
    strata = _strata(problem)
    diverged_rates, epochs, stable = np.empty(0), TRIAL_EPOCHS, None
    for _ in range(1 + MORE_ATTEMPTS):
        trials = _try(problem, rules, rates, batch_size, strata, epochs)
        if trials.stable.any():
            stable = trials
            longer = LONGER_FACTOR * epochs <= MOST_OF_MAX_ITER * max_iter
            if not (trials.is_proportional and longer and trials.n_steps < ENOUGH_STEPS):
                break
            epochs *= LONGER_FACTOR
        elif stable is not None or not isfinite(trials.untrained):
            break
        else:
            rates, diverged_rates = rates / LOWER_FACTOR, np.concatenate([rates, diverged_rates])
    trials = stable or trials
    losses = np.where(trials.stable.any(), trials.losses, inf)
    rates = np.concatenate([trials.rates, diverged_rates])
    losses = np.append(losses, np.full(diverged_rates.size, inf))
    best = _choose(rates, losses, 0.0 if trials.is_proportional else SLACK)
    factor = 1.0 if trials.is_proportional else length_factor(settings, trials.epochs)
    reason = _reason(rates, losses, best, factor, max_iter, trials)
    return Finding(best * factor, reason, rates, losses)


def length_factor(settings: Settings, epochs: int = TRIAL_EPOCHS) -> float:
    """The factor on a rate that trials of ``epochs`` epochs have found.

    It is at most 1, since longer training needs a smaller rate.
    """
    if settings.early_stopping or not settings.optimizer.scales_by_gradient_size:
        return 1.0
    return min(1.0, EPOCHS_SUITED * epochs / TRIAL_EPOCHS / int(settings.max_iter))


class _Trials(NamedTuple):
    """The results of the trials of several rates.

    rates : ndarray of shape (n_rates,), increasing
    losses : ndarray of the same shape, the loss on the held-out rows after each trial
    untrained : the loss on these rows before training
    epochs, n_steps : the length of each trial
    """

    rates: np.ndarray
    losses: np.ndarray
    untrained: float
    epochs: int
    n_steps: int

    @property
    def stable(self) -> np.ndarray:
        """A mask of the trials that have not diverged."""
        start = self.untrained
        limit = start + DIVERGED * abs(start) if isfinite(start) else inf
        return np.isfinite(self.losses) & (self.losses <= limit)

    @property
    def is_proportional(self) -> bool:
        """Whether the decrease of the loss is still proportional to the rate."""
        if not self.stable.all():
            return False
        third, second, highest = self.untrained - self.losses[-3:]
        return bool(0 < third < second < highest and highest >= PROPORTIONAL * third)


def _reason(
    rates: np.ndarray, losses: np.ndarray, best: float, factor: float, max_iter: int, last: _Trials
) -> str:
    """Which rate was chosen, and why, in two sentences for the user."""
    if last.is_proportional:
        why = (
            f"{best:.2g} has the lowest held-out loss, which still falls in proportion to the rate"
        )
    elif np.isfinite(losses).any():
        ends = {rates[0]: ", the lowest of them,", rates[-1]: ", the highest of them,"}
        why = (
            f"{best:.2g}{ends.get(best, '')} is the smallest whose held-out loss is near the lowest"
        )
    else:
        why = "all diverge, so the lowest is taken"
    scaled = f", times {factor:g} for max_iter={max_iter}" if factor < 1 else ""
    return (
        f"learning_rate_init='auto': {best * factor:.3g}. Of {len(rates)} rates from {rates[0]:.2g}"
        f" to {rates[-1]:.2g}, tried for {last.epochs} epochs each, {why}{scaled}."
    )


def _choose(rates: np.ndarray, losses: np.ndarray, slack: float) -> float:
    """The smallest rate whose smoothed log loss is within the slack of the lowest."""
    finite = np.isfinite(losses)
    if not finite.any():
        return float(rates[0])
    lowest = losses[finite].min()
    if lowest < 0:
        # The logarithm needs positive values. Take the excess over the lowest loss.
        excess = losses - lowest
        losses = excess + np.median(excess[finite])
    logs = np.log(np.maximum(losses, 1e-12))
    logs[~finite] = logs[finite].max() + DIVERGED_LOG_EXCESS
    padded = np.concatenate([logs[:1], logs, logs[-1:]])
    smooth = np.convolve(padded, [0.25, 0.5, 0.25], "valid")
    return float(rates[np.argmax(smooth <= smooth.min() + slack)])


def _try(
    problem: Problem,
    rules: TrainingRules,
    rates: np.ndarray,
    batch_size: int,
    strata: np.ndarray | None,
    epochs: int,
) -> _Trials:
    """Train the network at each rate for ``epochs`` epochs."""
    rng = np.random.RandomState()
    rng.set_state(problem.rng.get_state())
    rows, held_out_rows = _split(problem, strata, rng)
    x = problem.x if isinstance(problem.x, np.ndarray) else problem.x.tocsr()
    batches = Batches(
        x,
        problem.encoded,
        problem.weight,
        batch_size=min(batch_size, rows.size),
        shuffle=True,
        rows=rows,
        epochs=epochs,
    )
    trial = replace(
        rules,
        schedule=Constant(),
        stopping=Stopping(0.0, inf),
        max_epochs=epochs,
        max_seconds=inf,
        diagnostics=False,
    )
    held_out_loss = _HeldOutLoss(problem, x, held_out_rows)
    generator = np.random.default_rng(int(rng.randint(2**31)))
    stream = RandomStream(rng, None, None if trial.dropout is None else generator)
    start = TrainState(problem.params, {}, rates[:1], [stream], [Run()])
    threads = blas_threads(largest_product(problem.spec.sizes, batches.batch_size))
    with threads, np.errstate(all="ignore"):
        trained = _train_from(start, problem.spec, batches, trial, rates)
        losses = np.array([held_out_loss(params) for params in trained])
        untrained = held_out_loss(problem.params)
    return _Trials(rates, losses, untrained, epochs, epochs * batches.n_steps)


def _train_from(
    start: TrainState, spec: NetworkSpec, batches: Batches, trial: TrainingRules, rates: np.ndarray
) -> Iterator[np.ndarray]:
    """The parameters that training at each rate ends with, in groups that the cache holds."""
    n_together = max(1, group_size(spec, batches.batch_size, start.params.itemsize))
    for first in range(0, len(rates), n_together):
        group_rates = rates[first : first + n_together].tolist()
        models = stacked_state([start] * len(group_rates), group_rates, trial)
        if train(spec, batches, trial, models) is StopReason.INTERRUPTED:
            raise KeyboardInterrupt
        yield from models.params


class _HeldOutLoss:
    """The loss on held-out rows, as a function of the parameters; inf if it is not finite."""

    def __init__(self, problem: Problem, x: Any, rows: np.ndarray) -> None:
        self._spec, self._x, self._encoded = problem.spec, x[rows], problem.encoded[rows]
        weight = None if problem.weight is None else problem.weight[rows]
        self._weight = weight if weight is None or weight.any() else None

    def __call__(self, params: np.ndarray) -> float:
        spec = self._spec
        predictions = predict(self._x, spec.layout.bind(params), spec)
        if not np.isfinite(predictions).all():
            return inf
        return mean_loss(spec.loss, predictions, self._encoded, self._weight)


def _strata(problem: Problem) -> np.ndarray | None:
    """The classes by which the split of the rows is stratified, or None for a regressor."""
    encoded = problem.encoded
    return encoded if encoded.ndim == 1 else problem.targets.strata(encoded)


def _split(
    problem: Problem, strata: np.ndarray | None, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """The rows that the trials train on, and the held-out rows; all for both if there are few."""
    n_rows = problem.n_rows
    all_rows = np.arange(n_rows) if problem.rows is None else problem.rows
    if n_rows < 2 / HELD_OUT:
        return all_rows, all_rows
    chosen = all_rows
    if n_rows > TRIAL_ROWS:
        chosen = all_rows[np.sort(rng.permutation(n_rows)[:TRIAL_ROWS])]
    try:
        rows, held_out_rows = train_test_split(
            chosen,
            test_size=HELD_OUT,
            random_state=rng,
            stratify=None if strata is None else strata[chosen],
        )
    except ValueError:  # a class with a single row cannot be in both parts
        rows, held_out_rows = train_test_split(chosen, test_size=HELD_OUT, random_state=rng)
    return rows, held_out_rows
