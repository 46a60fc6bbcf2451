"""Declared objects of users: written in plain NumPy, trained like this package's own."""

import pickle
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from joblib.externals.loky.cloudpickle_wrapper import dumps, loads
from numpy.testing import assert_array_equal

from bpestimator import (
    SGD,
    Activation,
    Adam,
    BackpropClassifier,
    BackpropRegressor,
    Constant,
    Huber,
    Initializer,
    LeakyReLU,
    LockstepGridSearchCV,
    Loss,
    Optimizer,
    ReLU,
    Schedule,
    SquaredError,
    Tanh,
)
from bpestimator.nn import ACTIVATIONS, CLASSIFICATION_LOSSES, INITIALIZERS, REGRESSION_LOSSES
from bpestimator.training import OPTIMIZERS, SCHEDULES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

METHODS = {
    Activation: ("forward", "backward"),
    Loss: ("backward", "pointwise", "pointwise_derivative", "write_terms", "value"),
    Optimizer: ("init", "begin", "step", "decay"),
    Schedule: ("rate",),
    Initializer: ("weights", "biases"),
}


def data(kind=BackpropClassifier):
    X = np.random.default_rng(0).normal(size=(61, 4))
    number = np.abs(X[:, 0]) + 0.1
    return X, np.digitize(X[:, 0], [-0.4, 0.4]) if kind is BackpropClassifier else number


def only_super(declared):
    """The same object, of a subclass that overrides every method and calls the parent's."""
    kind = type(declared)
    base = next(base for base in METHODS if isinstance(declared, base))

    def override(name):
        return lambda self, *args, **kwargs: getattr(super(own, self), name)(*args, **kwargs)

    body = {name: override(name) for name in METHODS[base]}
    own = dataclass(frozen=True)(type("Own", (kind,), {"__module__": __name__, **body}))
    return own(**vars(declared))


def fitted(est):
    X, y = data(type(est))
    est.fit(X, y)
    numbers = [est.coefs_, est.intercepts_, est.predict(X), est.loss_]
    if est.solver != "lbfgs" and not getattr(est.learning_rate, "needs_horizon", False):
        est.partial_fit(X[:40], y[:40]).partial_fit(X[:40], y[:40])
        numbers += [est.coefs_, est.loss_curve_]
    return pickle.dumps(numbers)


def searched(est):
    X, y = data(type(est))
    search = LockstepGridSearchCV(est, {"alpha": [0.0, 1.0]}, cv=2).fit(X, y)
    best = search.best_estimator_
    return pickle.dumps([best.coefs_, best.loss_curve_, search.cv_results_["mean_test_score"]])


FIXED = {"hidden_layer_sizes": (6, 5), "batch_size": 17, "max_iter": 4, "random_state": 0}


def assert_trains_alike(kind, own, parents, **fixed):
    """Bits of both, alone and in lockstep."""
    fixed = FIXED | fixed
    assert fitted(kind(**fixed, **own)) == fitted(kind(**fixed, **parents))
    if fixed.get("solver") != "lbfgs":
        assert searched(kind(**fixed, **own)) == searched(kind(**fixed, **parents))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_that_calls_super_trains_as_its_parent(name, solver):
    activation = ACTIVATIONS[name]
    own = {"activation": ["relu", only_super(activation)]}
    parents = {"activation": ["relu", activation]}
    diagnostics = solver == "adam"
    assert_trains_alike(BackpropClassifier, own, parents, solver=solver, diagnostics=diagnostics)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("name", {**REGRESSION_LOSSES, **CLASSIFICATION_LOSSES})
def test_a_loss_that_calls_super_trains_as_its_parent(name, solver):
    is_regression = name in REGRESSION_LOSSES
    loss = {**CLASSIFICATION_LOSSES, **REGRESSION_LOSSES}[name]
    kind = BackpropRegressor if is_regression else BackpropClassifier
    assert_trains_alike(kind, {"loss": only_super(loss)}, {"loss": loss}, solver=solver)


@pytest.mark.parametrize("widths", [(6, 5), (400, 400)], ids=str)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_that_calls_super_trains_as_its_parent(name, widths):
    optimizer = OPTIMIZERS[name]()
    own, parents = {"solver": only_super(optimizer)}, {"solver": optimizer}
    assert_trains_alike(BackpropClassifier, own, parents, hidden_layer_sizes=widths)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_that_calls_super_trains_as_its_parent(name):
    schedule = SCHEDULES[name]()
    own, parents = {"learning_rate": only_super(schedule)}, {"learning_rate": schedule}
    assert_trains_alike(BackpropClassifier, own, parents)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_an_initializer_that_calls_super_draws_as_its_parent(name):
    initializer = INITIALIZERS[name]
    own, parents = {"weight_init": only_super(initializer)}, {"weight_init": initializer}
    assert_trains_alike(BackpropClassifier, own, parents)


@dataclass(frozen=True)
class PlainTanh(Activation):
    """Written as a user would, without a buffer."""

    name = "plain_tanh"

    def forward(self, z, ws):
        np.tanh(z, out=z)

    def backward(self, a, delta, ws):
        delta *= 1 - a * a


@dataclass(frozen=True)
class PlainLeaky(Activation):
    """Written with buffers of the workspace."""

    leak: float = 0.01

    name = "plain_leaky"

    def forward(self, z, ws):
        leaked = ws.like(z)
        np.multiply(z, self.leak, out=leaked)
        np.maximum(z, leaked, out=z)

    def backward(self, a, delta, ws):
        derivative = ws.zeros(a.shape, a.dtype)
        derivative += np.where(a > 0, 1, self.leak)
        delta *= derivative


@dataclass(frozen=True)
class HalfLogistic(Activation):
    """Made of another declared object."""

    inner: Activation = ACTIVATIONS["logistic"]

    name = "half_logistic"

    def forward(self, z, ws):
        self.inner.forward(z, ws)

    def backward(self, a, delta, ws):
        self.inner.backward(a, delta, ws)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    ("plain", "ours"),
    [(PlainTanh(), Tanh()), (PlainLeaky(), LeakyReLU()), (HalfLogistic(), ACTIVATIONS["logistic"])],
    ids=["tanh", "leaky", "logistic"],
)
def test_a_plain_activation_trains_as_ours(plain, ours, solver):
    def layers(activation):  # relu keeps zeros in the workspace, which nobody may overwrite
        return {"activation": ["relu", activation, "relu", activation]}

    own, parents = layers(plain), layers(ours)
    widths = {"hidden_layer_sizes": (6, 5, 6, 5), "solver": solver}
    kind = BackpropClassifier
    if isinstance(plain, HalfLogistic):  # whose initial weights would be other
        widths["weight_init"] = "he_normal"
    assert_trains_alike(kind, own, parents, **widths)


class PlainSquaredError(SquaredError):
    """Arguments may have other names."""

    def backward(self, z, targets, terms, activation, workspace):
        activation.forward(z, workspace)
        z -= targets
        terms[...] = z**2


class PlainHuber(Huber):
    def pointwise_derivative(self, p, y, out, ws):
        out[...] = np.clip(p - y, -self.delta, self.delta)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    ("plain", "ours"),
    [(PlainSquaredError(), SquaredError()), (PlainHuber(0.5), Huber(0.5))],
    ids=str,
)
def test_a_plain_loss_trains_as_ours(plain, ours, solver):
    assert_trains_alike(BackpropRegressor, {"loss": plain}, {"loss": ours}, solver=solver)


@dataclass(frozen=True)
class PlainMomentum(Optimizer):
    """Momentum, and a number that changes from step to step."""

    momentum: Any = 0.9

    name = "plain_momentum"

    def init(self, params):
        return {"velocity": np.zeros_like(params), "steps": 0}

    def step(self, params, grads, state, factor, scratch):
        state["steps"] += 1
        velocity = state["velocity"]
        velocity *= self.momentum
        velocity -= factor * grads
        params += velocity


@pytest.mark.parametrize("widths", [(6, 5), (400, 400)], ids=str)
def test_a_plain_optimizer_trains_as_ours(widths):
    own, parents = {"solver": PlainMomentum()}, {"solver": SGD(nesterov=False)}
    assert_trains_alike(BackpropClassifier, own, parents, hidden_layer_sizes=widths)
    est = BackpropClassifier(**FIXED | {"hidden_layer_sizes": widths}, **own)
    est.fit(*data())
    assert est._memory["optimizer"]["steps"] == 4 * 4  # batches of 17 of 61 rows, four epochs


def test_numbers_kept_by_a_plain_step_are_not_stale():
    seen = []

    class Counting(Optimizer):
        name = "counting"

        def init(self, params):
            return {"t": 0}

        def step(self, params, grads, state, factor, scratch):
            state["t"] += 1
            seen.append(state["t"])
            params -= factor * grads

    BackpropClassifier(**FIXED, solver=Counting()).fit(*data())
    assert seen == list(range(1, 17))


def test_a_method_of_a_mixin_is_recorded_too():
    class Mixin:
        def forward(self, z, ws):
            np.tanh(z, out=z)

    class Mixed(Mixin, Tanh):
        pass

    assert_trains_alike(BackpropClassifier, {"activation": Mixed()}, {"activation": "tanh"})


def test_a_slotted_dataclass_is_wrapped_once():
    @dataclass(frozen=True, slots=True)
    class Slotted(Activation):
        name: ClassVar[str] = "slotted"

        def forward(self, z, ws):
            np.tanh(z, out=z)

        def backward(self, a, delta, ws):
            delta *= 1 - a * a

    assert not hasattr(Slotted.forward.__wrapped__, "__wrapped__")
    assert_trains_alike(BackpropClassifier, {"activation": Slotted()}, {"activation": "tanh"})


def test_classes_travel_by_value():
    """As joblib sends those of a notebook to its workers."""

    class Own(Tanh):
        def forward(self, z, ws):
            super().forward(z, ws)

    (own,) = loads(dumps([Own()]))
    assert type(own).is_plain
    assert_trains_alike(BackpropClassifier, {"activation": own}, {"activation": "tanh"})


def test_only_what_is_overridden_elsewhere_is_plain():
    class OtherDecay(SGD):
        def init(self, params):
            return super().init(params)

    assert not SGD().is_plain
    assert not OtherDecay().is_plain
    assert PlainMomentum().is_plain
    assert_array_equal([a.is_plain for a in ACTIVATIONS.values()], False)


BASES = [Tanh, Activation, SquaredError, Loss, Adam, Optimizer, Constant, Schedule, Initializer]


@pytest.mark.parametrize("base", BASES)
def test_a_generator_is_refused_when_the_class_is_made(base):
    root = next(root for root in METHODS if issubclass(base, root))

    def generator(self, *args):
        yield

    for name in METHODS[root]:
        with pytest.raises(
            TypeError, match=f"Late.{name} must not be a generator.*Write plain calls"
        ):
            type("Late", (base,), {"__module__": __name__, name: generator})


def test_a_generator_of_a_name_that_is_the_users_is_theirs():
    class Fine(Tanh):
        def widths(self):
            yield 1

    assert list(Fine().widths()) == [1]


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_generator_is_refused_when_it_is_returned(solver):
    class Late(Tanh):
        def forward(self, z, ws):
            return (np.tanh(z, out=z) for _ in range(1))

    with pytest.raises(TypeError, match=r"Late.forward must not be a generator"):
        BackpropClassifier(**FIXED, activation=Late(), solver=solver).fit(*data())
    BackpropClassifier(**FIXED, activation="tanh").fit(*data())  # no recording is left open


def test_an_iterator_is_refused_outside_a_recording():
    class Late(ReLU):
        def backward(self, a, delta, ws):
            return iter([delta])

    with pytest.raises(TypeError, match=r"Late.backward must not be a generator"):
        Late().backward(np.ones((2, 2)), np.ones((2, 2)), None)


GONE = {
    Activation: {"gain": "init_gain"},
    Loss: {
        "link": "output_activation",
        "penalty": "pointwise",
        "slope": "pointwise_derivative",
        "note": "write_terms",
        "record_width": "n_terms",
    },
}


@pytest.mark.parametrize("base", GONE)
def test_names_that_are_gone_are_refused(base):
    for old, new in GONE[base].items():
        for value in (1.0, lambda self, *args: None, property(lambda self: None)):
            with pytest.raises(TypeError, match=rf"Late.{old} would be ignored.* {new} now"):
                type("Late", (base,), {"__module__": __name__, old: value})
    assert {name for root in METHODS for name in root.renamed} == {
        old for names in GONE.values() for old in names
    }


def test_a_parameter_may_have_a_name_that_is_gone():
    @dataclass(frozen=True)
    class Scaled(Tanh):
        gain: float = 2.0

    assert Scaled(3.0).gain == 3.0


def test_a_class_without_a_module_of_its_own_trains_as_ours():
    """Such as one that ``exec`` runs, whose module is builtins."""
    names = {}
    exec(
        "import numpy as np\n"
        "from bpestimator import Activation\n"
        "class Own(Activation):\n"
        "    name = 'own'\n"
        "    def forward(self, z, ws):\n"
        "        np.tanh(z, out=z)\n"
        "    def backward(self, a, delta, ws):\n"
        "        delta *= 1 - a * a\n",
        names,
    )
    rng = np.random.default_rng(0)
    rows, y = rng.normal(size=(40, 3)), rng.normal(size=40)
    fixed = {"hidden_layer_sizes": (5,), "max_iter": 4, "tol": 0.0, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = BackpropRegressor(activation=names["Own"](), **fixed).fit(rows, y)
        tanh = BackpropRegressor(activation="tanh", **fixed).fit(rows, y)
    np.testing.assert_allclose(own.coefs_[0], tanh.coefs_[0], rtol=1e-10)
