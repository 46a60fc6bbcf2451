"""Training: many models equal each alone, resuming equals never stopping, nothing leaks."""

import json
import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from bpestimator.nn import ACTIVATIONS, INITIALIZERS, LOSSES, NetworkSpec, initial_parameters
from bpestimator.training import (
    L2,
    OPTIMIZERS,
    SCHEDULES,
    SGD,
    Adam,
    Batches,
    Clock,
    RandomStream,
    Run,
    Stopping,
    StopReason,
    TrainingRules,
    TrainState,
    Validation,
    train,
)
from bpestimator.training import batches as batches_module
from bpestimator.training.epoch import EpochTrainer
from bpestimator.training.schedules import Adaptive, Constant, InvScaling

ROWS, FEATURES, OUTPUTS = 53, 4, 3
NEVER = Stopping(tol=0.0, patience=np.inf)


def problem(loss="log_loss", sizes=(6, 5), seed=0, rows=ROWS):
    loss = LOSSES[loss]
    rng = np.random.default_rng(seed)
    spec = NetworkSpec((FEATURES, *sizes, OUTPUTS), (ACTIVATIONS["relu"],) * len(sizes), loss)
    x = rng.normal(size=(rows, FEATURES))
    y = rng.integers(OUTPUTS, size=rows)
    return spec, x, y if loss.takes_labels else np.eye(OUTPUTS)[y]


def fresh_state(spec, optimizer, rates=(0.01,), seed=0, stack=False):
    rng = np.random.RandomState(seed)
    params = initial_parameters(spec.layout, INITIALIZERS["auto"], 6.0, rng, np.float64)
    rates = np.reshape(rates, (-1, 1))
    if stack:
        params = np.tile(params, (len(rates), 1))
    else:
        rates = rates[0]
    runs = [Run() for _ in range(len(rates) if stack else 1)]
    clock = Clock(horizon=8)
    streams = [RandomStream(rng)] * len(runs)
    return TrainState(params, optimizer.init(params), np.array(rates, float), streams, runs, clock)


def rules(optimizer, schedule=None, alpha=1e-3, stopping=NEVER, epochs=6):
    return TrainingRules(optimizer, schedule or Constant(), L2(alpha), stopping, epochs)


def run(spec, x, y, state, the_rules, weight=None, batch_size=10, **kwargs):
    batches = Batches(x, y, weight, batch_size=batch_size, shuffle=True)
    return train(spec, batches, the_rules, state, **kwargs)


# Hyperparameters, one value per model, of each optimizer; a new one without an entry is
# trained with its defaults.
PER_MODEL = {
    SGD: {"momentum": [0.9, 0.0, 0.5]},
    Adam: {"beta_1": [0.9, 0.5, 0.0], "beta_2": [0.999, 0.9, 0.99], "epsilon": [1e-8, 1e-3, 1.0]},
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("kind", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_lockstep_equals_alone(kind, schedule, loss):
    spec, x, y = problem(loss)
    weight = np.random.default_rng(1).uniform(size=ROWS)
    rates, alphas = [0.01, 0.1, 0.003], [0.0, 1e-2, 1.0]
    fields = PER_MODEL.get(kind, {})
    columns = {name: np.reshape(values, (-1, 1)) for name, values in fields.items()}
    together = fresh_state(spec, kind(**columns), rates, stack=True)
    stopping = Stopping(tol=1e-2, patience=1)  # the models stop, or shrink, at different epochs
    stack_rules = rules(
        kind(**columns), schedule(), np.reshape(alphas, (-1, 1)), stopping, epochs=25
    )
    run(spec, x, y, together, stack_rules, weight)
    epochs = []
    for k in range(3):
        alone_kind = kind(**{name: values[k] for name, values in fields.items()})
        alone = fresh_state(spec, alone_kind, rates[k : k + 1])
        run(spec, x, y, alone, rules(alone_kind, schedule(), alphas[k], stopping, 25), weight)
        assert_allclose(together.params[k], alone.params, rtol=1e-9, atol=1e-12)
        assert_allclose(together.runs[k].loss_curve, alone.runs[0].loss_curve, rtol=1e-10)
        assert_allclose(together.initial_rate[k], alone.initial_rate)
        epochs.append(alone.runs[0].n_iter)
    if schedule is Constant and loss == "log_loss":
        assert len(set(epochs)) > 1


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("kind", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_resuming_equals_never_stopping(kind, schedule):
    spec, x, y = problem()
    stopping = Stopping(tol=0.05, patience=2)
    through = fresh_state(spec, kind())
    run(spec, x, y, through, rules(kind(), schedule(), stopping=stopping, epochs=8))
    state = fresh_state(spec, kind())
    for _ in range(4):
        reason = run(spec, x, y, state, rules(kind(), schedule(), stopping=stopping, epochs=2))
        state = TrainState.from_dict(pickle.loads(pickle.dumps(state.to_dict())))
        if reason is StopReason.CONVERGED:
            break
    assert_array_equal(state.params, through.params)
    assert state.runs[0].loss_curve == through.runs[0].loss_curve
    assert state.clock == through.clock


def plain(value):
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(entry) for key, entry in value.items())
    if isinstance(value, list):
        return all(map(plain, value))
    return isinstance(value, (int, float, str, np.ndarray, type(None)))


@pytest.mark.parametrize("kind", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_saved_state_is_plain_and_independent(kind):
    spec, x, y = problem()
    state = fresh_state(spec, kind())
    run(spec, x, y, state, rules(kind()))
    saved = state.to_dict()
    assert plain(saved)
    before = json.dumps(saved, default=np.ndarray.tolist)
    run(spec, x, y, state, rules(kind()))
    assert json.dumps(saved, default=np.ndarray.tolist) == before


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
@pytest.mark.parametrize("kind", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_steps_allocate_no_array(kind, activation):
    spec, x, y = problem(sizes=(256, 256), rows=400)
    spec = NetworkSpec(spec.sizes, (activation,) * 2, spec.loss)
    state = fresh_state(spec, kind())
    batches = Batches(x, y, None, batch_size=200, shuffle=True)
    trainer = EpochTrainer(spec, batches, rules(kind()), state)
    trainer.epoch()
    tracemalloc.start()
    trainer.epoch()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    one_layer = 200 * 256 * 8  # NumPy's own casting buffers take 64 KB
    assert peak < one_layer / 3


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csc_matrix, sp.csc_array])
@pytest.mark.parametrize("block_bytes", [1, 2000, 2**20])
def test_every_row_once_an_epoch_in_the_order_of_the_targets(container, block_bytes, monkeypatch):
    monkeypatch.setattr(batches_module, "BLOCK_BYTES", block_bytes)
    x = np.arange(ROWS * FEATURES, dtype=float).reshape(ROWS, FEATURES)
    y = np.arange(ROWS, dtype=float).reshape(-1, 1)
    batches = Batches(container(x), y, y[:, 0], batch_size=5, shuffle=True)
    stream = RandomStream(np.random.RandomState(0))
    for _ in range(2):
        seen = []
        for block in batches.epoch([stream]):
            for batch in batches.blocks[block]:
                rows = batch.y[:, 0].astype(int)
                sparse = not isinstance(batch.x, np.ndarray)
                dense = batch.x.matrix.toarray() if sparse else batch.x
                assert_array_equal(dense, x[rows])
                assert_array_equal(batch.weight, rows)
                assert batch.total == rows.sum()
                seen += rows.tolist()
        assert seen == stream.order.tolist()
        assert sorted(seen) == list(range(ROWS))


def test_csc_rows_are_entry_for_entry_those_of_scipy():
    x = sp.random(40, 30, 0.3, format="csc", random_state=0)
    rows = np.random.RandomState(0).permutation(40)[:17]
    batches = Batches(x, np.zeros((40, 1)), None, batch_size=17, shuffle=True)
    batches._source.take(rows)
    ours, theirs = batches._source.batch.matrix, x[rows]
    for part in ("data", "indices", "indptr"):
        assert_array_equal(getattr(ours, part), getattr(theirs, part))


def test_block_size_does_not_change_training(monkeypatch):
    spec, x, y = problem()
    found = []
    for block_bytes in (1, 500, 2**20):
        monkeypatch.setattr(batches_module, "BLOCK_BYTES", block_bytes)
        state = fresh_state(spec, Adam())
        run(spec, x, y, state, rules(Adam()), weight=np.linspace(0, 1, ROWS))
        found.append((state.params.tolist(), state.runs[0].loss_curve))
    assert found[0] == found[1] == found[2]


def test_schedules_follow_their_formulas():
    start, later = Clock(epoch=0, samples=100), Clock(epoch=3, samples=399)
    assert Constant().rate(0.1, later) == Adaptive().rate(0.1, later) == 0.1
    assert InvScaling(0.5).rate(0.1, start) == 0.1
    assert InvScaling(0.5).rate(0.1, later) == 0.1 / 20


def test_adaptive_divides_the_rate_by_five_until_it_is_tiny():
    spec, x, y = problem()
    state = fresh_state(spec, SGD(), rates=[1e-5])
    told = []
    reason = run(
        spec,
        x,
        y,
        state,
        rules(SGD(), Adaptive(), stopping=Stopping(tol=1e9, patience=1), epochs=100),
        log=told.append,
    )
    assert reason is StopReason.CONVERGED
    assert_allclose(state.initial_rate, 1e-5 / 25)
    assert [line for line in told if "Setting learning rate" in line] != []
    assert told[-1].endswith("Learning rate too small. Stopping.")


def test_the_best_validated_parameters_are_kept():
    spec, x, y = problem()
    state = fresh_state(spec, Adam())
    state.runs[0].validation_scores, state.runs[0].best_validation_score = [], -np.inf
    scores = iter([0.1, 0.9, np.nan, 0.2, 0.3])
    seen = []

    def validate(params):
        seen.append(params.copy())
        return Validation(next(scores), 0.0)

    run(spec, x, y, state, rules(Adam(), epochs=5), validate=[validate])
    assert state.runs[0].best_validation_score == 0.9
    assert_array_equal(state.runs[0].best_params, seen[1])


def test_rows_without_weight_teach_nothing():
    spec, x, y = problem("squared_error")
    weight = np.ones(ROWS)
    weight[30:] = 0
    x_other, y_other = x.copy(), y.copy()
    x_other[30:], y_other[30:] = 7, -7
    found = []
    for data in ((x, y), (x_other, y_other)):
        state = fresh_state(spec, Adam())
        run(spec, *data, state, rules(Adam()), weight=weight, batch_size=1)
        found.append(state)
    assert_array_equal(found[0].params, found[1].params)
    assert_array_equal(found[0].runs[0].loss_curve, found[1].runs[0].loss_curve)
    assert np.isfinite(found[0].runs[0].loss_curve).all()
    assert found[0].optimizer["t"] == 6 * 30
