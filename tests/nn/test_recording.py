"""Recording: a call runs at once, and again when the recording is played; one thread's own."""

import gc
import threading

import numpy as np
import pytest
import scipy
from numpy.testing import assert_allclose, assert_array_equal

from bpestimator import BackpropRegressor, CustomLoss
from bpestimator.nn import ACTIVATIONS, LOSSES, NetworkSpec, activations, call, play, predict
from bpestimator.nn.kernels.workspace import Workspace
from bpestimator.nn.recording import Computation, add, multiply, recording
from bpestimator.training import (
    L2,
    SGD,
    Batches,
    Constant,
    RandomStream,
    Run,
    Stopping,
    TrainingRules,
    TrainState,
    train,
)


def test_a_call_runs_at_once_and_when_it_is_played():
    z, seen = np.array([1.0, 2.0]), []
    with recording() as calls:
        multiply(z, 2.0, z)
        call(seen.append, 1)
        add(z, 1.0, out=z)
    assert_array_equal(z, [3, 5])
    assert seen == [1]
    z[:] = 0
    play(calls)
    assert_array_equal(z, [1, 1])
    assert seen == [1, 1]


def test_nothing_is_written_down_without_a_recording():
    z = np.ones(2)
    with recording() as calls:
        pass
    add(z, 1.0, z)
    call(z.fill, 5)
    assert calls == []
    assert_array_equal(z, [5, 5])


def test_a_call_counts_as_one_whatever_it_calls():
    z = np.ones(2)

    def twice_plus_one():
        multiply(z, 2.0, z)
        call(add, z, 1.0, z)

    with recording() as calls:
        call(twice_plus_one)
        add(z, 1.0, z)
    assert len(calls) == 2
    assert_array_equal(z, [4, 4])
    play(calls)
    assert_array_equal(z, [10, 10])


def test_a_recording_within_a_recording_is_an_error():
    with recording() as calls:
        with pytest.raises(RuntimeError, match="recording is open in this thread"), recording():
            pass
        add(1.0, 1.0)
    assert len(calls) == 1


def test_a_call_may_record_on_its_own():
    inner = []

    def records():
        with recording() as calls:
            add(1.0, 1.0)
        inner.extend(calls)

    with recording() as outer:
        call(records)
    assert len(inner) == len(outer) == 1


def test_an_error_ends_the_recording():
    with pytest.raises(ZeroDivisionError), recording():
        call(lambda: 1 / 0)
    with recording() as calls:
        add(1.0, 1.0)
    assert len(calls) == 1


def test_a_computation_is_recorded_once_then_played():
    z, computed = np.ones(1), []

    def double(z):
        computed.append(1)
        add(z, z, z)

    computation = Computation(double, z)
    for expected in (2, 4, 8):
        computation()
        assert z == expected
    assert computed == [1]


def test_a_computation_that_failed_is_recorded_anew():
    z, problems = np.ones(1), [ZeroDivisionError]

    def double():
        add(z, z, z)
        if problems:
            raise problems.pop()

    computation = Computation(double)
    with pytest.raises(ZeroDivisionError):
        computation()
    computation()
    computation()
    assert z == 8


def test_a_recording_leaves_other_threads_alone():
    spec = NetworkSpec((3, 4, 2), (ACTIVATIONS["tanh"],), LOSSES["squared_error"])
    rng = np.random.default_rng(0)
    x, params = rng.normal(size=(5, 3)), rng.normal(size=spec.layout.n_parameters)
    expected = predict(x, spec.layout.bind(params), spec)
    recorded, is_open, is_done = [], threading.Event(), threading.Event()

    def record():
        with recording() as calls:
            is_open.set()
            is_done.wait(10)
            recorded.append(list(calls))

    thread = threading.Thread(target=record)
    thread.start()
    is_open.wait(10)
    assert_array_equal(predict(x, spec.layout.bind(params), spec), expected)
    is_done.set()
    thread.join()
    assert recorded == [[]]


def test_the_first_epoch_shows_the_numbers(monkeypatch):
    """What a debugger sees in ``forward``, on every step of an epoch that is recorded."""
    spec = NetworkSpec((3, 4, 1), (ACTIVATIONS["tanh"],), LOSSES["squared_error"])
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
    params = rng.normal(size=spec.layout.n_parameters)
    state = TrainState(
        params,
        SGD().init(params),
        np.array([0.1]),
        [RandomStream(np.random.RandomState(0))],
        [Run()],
    )
    steps, forward = [], activations.Tanh.forward

    def watched(self, z, ws):
        weights, biases, _ = spec.layout.bind(params)
        number = len(steps)
        assert_allclose(z, x[5 * number : 5 * number + 5] @ weights[0] + biases[0], rtol=1e-12)
        forward(self, z, ws)
        assert_allclose(z, np.tanh(x[5 * number : 5 * number + 5] @ weights[0] + biases[0]))
        steps.append(params.copy())

    monkeypatch.setattr(activations.Tanh, "forward", watched)
    batches = Batches(x, y, None, batch_size=5, shuffle=False, epochs=1000)
    rules = TrainingRules(SGD(), Constant(), L2(0.1), Stopping(0.0, np.inf), max_epochs=3)
    train(spec, batches, rules, state)
    assert len(steps) == 4  # the later epochs are played
    assert (np.diff(steps, axis=0) != 0).all()


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_loss_may_ask_another_network(solver):
    X = np.linspace(-1, 1, 30).reshape(-1, 1)
    fixed = {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 20}
    teacher = BackpropRegressor(**fixed).fit(X, X.ravel())
    answers = teacher.predict(X[:1])

    def towards(answer):
        return CustomLoss(
            lambda y, p: 0.5 * (p - y) ** 2 + 0.5 * (p - answer()) ** 2,
            lambda y, p: p - y + p - answer(),
        )

    asking = BackpropRegressor(towards(lambda: teacher.predict(X[:1])), **fixed, solver=solver)
    knowing = BackpropRegressor(towards(lambda: answers), **fixed, solver=solver)
    assert_array_equal(asking.fit(X, X.ravel()).coefs_[0], knowing.fit(X, X.ravel()).coefs_[0])


OLD_SCIPY = tuple(map(int, scipy.__version__.split(".")[:2])) < (1, 15)


@pytest.mark.parametrize(
    "solver",
    [
        "adam",
        pytest.param(
            "lbfgs", marks=pytest.mark.skipif(OLD_SCIPY, reason="scipy.optimize has cycles itself")
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_leaves_no_cycle_that_keeps_its_buffers(solver):
    X, y = np.linspace(-1, 1, 30).reshape(-1, 1), np.linspace(-1, 1, 30)
    est = BackpropRegressor(max_iter=2, solver=solver, early_stopping=solver == "adam")
    est.fit(X, y)
    gc.collect()
    gc.disable()
    try:
        before = {id(one) for one in gc.get_objects() if isinstance(one, Workspace)}
        est.fit(X, y)
        after = {id(one) for one in gc.get_objects() if isinstance(one, Workspace)}
    finally:
        gc.enable()
    assert after <= before


def test_a_debugger_may_have_every_step_computed_anew(monkeypatch):
    from bpestimator import BackpropRegressor
    from bpestimator.nn import layers

    rows = np.random.default_rng(0).normal(size=(30, 3))
    seen = []
    add_to_rows = layers.add_to_rows
    monkeypatch.setattr(layers, "add_to_rows", lambda *a: seen.append(1) or add_to_rows(*a))
    fixed = {"hidden_layer_sizes": (4,), "batch_size": 10, "max_iter": 6, "tol": 0.0}
    net = BackpropRegressor(**fixed, n_iter_no_change=7, random_state=0)
    with pytest.warns(UserWarning, match="converged"):
        played = net.fit(rows, rows[:, 0]).coefs_
    n_recorded = len(seen)
    monkeypatch.setattr(Computation, "replays", False)
    with pytest.warns(UserWarning, match="converged"):
        anew = net.fit(rows, rows[:, 0]).coefs_
    assert n_recorded < 2 * 3 * 6  # two layers, three batches, six epochs
    assert len(seen) - n_recorded == 2 * 3 * 6
    for one, other in zip(played, anew, strict=True):
        np.testing.assert_array_equal(one, other)
