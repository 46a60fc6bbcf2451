"""The rate finder: what ``learning_rate_init="auto"`` does before training.

Short trials at five rates, side by side, each from the same initial weights, in the same order
of rows, at a constant rate for four epochs. The rows held out of them, a fifth, say how far each
has come. The loss falls with the rate until steps are large enough, is flat for a while, and
explodes: the choice is the smallest rate that has come about as far as the best,

    min { rate : L(rate) <= min L + 0.1 },   L = log of the held-out loss, smoothed over the rates
    by 1/4, 1/2, 1/4,

which is far from the cliff. Where every trial ends far above the loss of the untrained network, as
plain gradient descent does on targets in the hundreds, rates a hundredth of these are tried too,
and so on. Where the loss still falls in proportion to the rate, as on a hundred rows of targets in
the hundreds, no rate has come near its end: trials four times as long say more.

The choice suits about 25 epochs, or six times as many as a trial has; a longer training settles
better at a smaller rate, so it is multiplied by min(1, 25 / max_iter), unless early stopping or
plain gradient descent ("sgd") is at work, or the loss falls in proportion still. Measured
against a grid of 13 rates in docs/rate-study.md, and chosen by that measure.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf, isfinite
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

from bpestimator.estimators.fitting.problem import Problem
from bpestimator.estimators.parameters import Settings
from bpestimator.estimators.threads import blas_threads, largest_product
from bpestimator.nn import mean_loss, predict
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

RATES = tuple(10 ** (-3 + 0.4 * k) for k in range(5))
# Plain gradient descent divides by nothing, and takes larger rates.
SGD_FACTOR = 10.0
TRIAL_EPOCHS = 4
# More rows than these add to the cost of a trial, but little to what it says.
TRIAL_ROWS = 20_000
HELD_OUT = 0.2
SLACK = 0.1
EPOCHS_SUITED = 25
# The loss falls in proportion to the rate where the highest rate, 6.3 times as high as the third
# highest, has come at least this many times as far.
PROPORTIONAL = 4.0
# Trials of so many steps, or of so large a share of the epochs to come, are long enough.
ENOUGH_STEPS, ENOUGH_OF_EPOCHS = 64, 0.25
LONGER = 4
# A trial has exploded if its loss is above the untrained network's by more than this many times it.
EXPLODED = 10.0
# How often more is tried: rates a hundredth of the lowest so far, or longer.
MORE_TRIALS = 4
STEP_DOWN = 100.0
# How far the log of a loss that is no number lies above the largest that is one.
DIVERGED_ABOVE = 20.0


class Finding(NamedTuple):
    """A learning rate, and why it was chosen.

    rate : the rate
    reason : a sentence
    rates, losses : ndarray of shape (trials,), the rates tried and their held-out losses
    """

    rate: float
    reason: str
    rates: np.ndarray
    losses: np.ndarray


def find_rate(settings: Settings, problem: Problem, rules: TrainingRules) -> Finding:
    """Try rates, and choose one. Leaves the problem as it was, its random numbers included."""
    max_iter = int(settings.max_iter)
    batch_size = 200 if settings.batch_size == "auto" else int(settings.batch_size)
    rates = np.array(RATES) * (1.0 if rules.optimizer.scales_by_gradient_size else SGD_FACTOR)
    strata = _strata(problem)
    above, epochs, held = np.empty(0), TRIAL_EPOCHS, None
    for _ in range(1 + MORE_TRIALS):
        trials = _try(problem, rules, rates, batch_size, strata, epochs)
        if trials.hold.any():
            held = trials
            longer = LONGER * epochs <= ENOUGH_OF_EPOCHS * max_iter
            if not (trials.slow and longer and trials.n_steps < ENOUGH_STEPS):
                break
            epochs *= LONGER
        elif held is not None or not isfinite(trials.untrained):
            break
        else:
            rates, above = rates / STEP_DOWN, np.concatenate([rates, above])
    trials = held or trials
    losses = np.where(trials.hold.any(), trials.losses, inf)
    rates = np.concatenate([trials.rates, above])
    losses = np.append(losses, np.full(above.size, inf))
    best = _choose(rates, losses, 0.0 if trials.slow else SLACK)
    factor = 1.0 if trials.slow else length_factor(settings, trials.epochs)
    reason = _reason(rates, losses, best, factor, max_iter, trials)
    return Finding(best * factor, reason, rates, losses)


def length_factor(settings: Settings, epochs: int = TRIAL_EPOCHS) -> float:
    """What the rate found in trials of that many epochs is multiplied by.

    Long trainings settle better at smaller rates.
    """
    if settings.early_stopping or not settings.optimizer.scales_by_gradient_size:
        return 1.0
    return min(1.0, EPOCHS_SUITED * epochs / TRIAL_EPOCHS / int(settings.max_iter))


class _Trials(NamedTuple):
    """How trials of several rates went.

    rates : ndarray of shape (rates,), rising
    losses : ndarray of the same shape, of the rows held out
    untrained : that loss before any
    epochs, n_steps : of each
    """

    rates: np.ndarray
    losses: np.ndarray
    untrained: float
    epochs: int
    n_steps: int

    @property
    def hold(self) -> np.ndarray:
        """Which have not exploded."""
        start = self.untrained
        highest = start + EXPLODED * abs(start) if isfinite(start) else inf
        return np.isfinite(self.losses) & (self.losses <= highest)

    @property
    def slow(self) -> bool:
        """Whether the loss still falls in proportion to the rate."""
        if not self.hold.all():
            return False
        third, second, farthest = self.untrained - self.losses[-3:]
        return bool(0 < third < second < farthest and farthest >= PROPORTIONAL * third)


def _reason(
    rates: np.ndarray, losses: np.ndarray, best: float, factor: float, max_iter: int, last: _Trials
) -> str:
    """What was chosen, and why, in a sentence or two."""
    if last.slow:
        why = f"{best:.2g} has come farthest, and farther the higher the rate"
    elif np.isfinite(losses).any():
        ends = {rates[0]: ", the lowest of them,", rates[-1]: ", the highest of them,"}
        why = (
            f"{best:.2g}{ends.get(best, '')} is the smallest whose held-out loss is near the lowest"
        )
    else:
        why = "none keeps the loss from exploding, so the lowest is taken"
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
        # A loss without a floor has no ratios: how far each lies above the lowest has.
        above = losses - lowest
        losses = above + np.median(above[finite])
    logs = np.log(np.maximum(losses, 1e-12))
    logs[~finite] = logs[finite].max() + DIVERGED_ABOVE
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
    """Train the network at each rate, for so many epochs."""
    rng = np.random.RandomState()
    rng.set_state(problem.rng.get_state())
    rows, others = _split(problem, strata, rng)
    spec, x = problem.spec, problem.x
    if not isinstance(x, np.ndarray):
        x = x.tocsr()
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
    weight = None if problem.weight is None else problem.weight[others]
    if weight is not None and not weight.any():
        weight = None

    def held_out_loss(params: np.ndarray) -> float:
        predictions = predict(x[others], spec.layout.bind(params), spec)
        if not np.isfinite(predictions).all():
            return inf
        return mean_loss(spec.loss, predictions, problem.encoded[others], weight)

    losses = np.full(rates.shape, inf)
    generator = np.random.default_rng(int(rng.randint(2**31)))
    stream = RandomStream(rng, None, None if trial.dropout is None else generator)
    state = TrainState(problem.params, {}, rates[:1], [stream], [Run()])
    at_once = max(1, group_size(spec, batches.batch_size, x.dtype.itemsize))
    with blas_threads(largest_product(spec.sizes, batches.batch_size)), np.errstate(all="ignore"):
        for first in range(0, len(rates), at_once):
            some = rates[first : first + at_once].tolist()
            models = stacked_state([state] * len(some), some, trial)
            if train(spec, batches, trial, models) is StopReason.INTERRUPTED:
                raise KeyboardInterrupt
            losses[first : first + at_once] = [held_out_loss(params) for params in models.params]
        untrained = held_out_loss(problem.params)
        return _Trials(rates, losses, untrained, epochs, epochs * batches.n_steps)


def _strata(problem: Problem) -> np.ndarray | None:
    """What the split of a trial is stratified by: the classes, if there are any."""
    encoded = problem.encoded
    return encoded if encoded.ndim == 1 else problem.targets.strata(encoded)


def _split(
    problem: Problem, strata: np.ndarray | None, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from in the trials, and rows that judge; all for both where rows are few."""
    n_rows = problem.n_rows
    everything = np.arange(n_rows) if problem.rows is None else problem.rows
    if n_rows < 2 / HELD_OUT:
        return everything, everything
    chosen = everything
    if n_rows > TRIAL_ROWS:
        chosen = everything[np.sort(rng.permutation(n_rows)[:TRIAL_ROWS])]
    try:
        rows, others = train_test_split(
            chosen,
            test_size=HELD_OUT,
            random_state=rng,
            stratify=None if strata is None else strata[chosen],
        )
    except ValueError:  # a class of one row cannot be stratified
        rows, others = train_test_split(chosen, test_size=HELD_OUT, random_state=rng)
    return rows, others
