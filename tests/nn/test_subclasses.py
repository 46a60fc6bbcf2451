"""Classes that users write: what they override takes effect, or is refused; never nothing."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from bpestimator import (
    Adam,
    BackpropClassifier,
    BackpropRegressor,
    Constant,
    CustomLoss,
    Focal,
    Huber,
    LogLoss,
    Loss,
    Optimizer,
    Schedule,
    SquaredError,
    Tanh,
)
from bpestimator.lockstep import Alone, Data, FitRequest, Fitted, fit_requests
from bpestimator.nn import ACTIVATIONS

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:The network cannot predict all targets"),
]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = X[:, 0] + 0.1 * RNG.standard_t(2, size=60)
CLASSES = np.digitize(Y, [-0.5, 0.5])
FIXED = {"hidden_layer_sizes": (6,), "max_iter": 5, "batch_size": 20, "random_state": 0}


def fit(loss="squared_error", y=Y, **params):
    return BackpropRegressor(loss, **{**FIXED, **params}).fit(X, y)


def assert_same(one, other, rtol=1e-12):
    for ours, theirs in zip(one.coefs_, other.coefs_, strict=True):
        assert_allclose(ours, theirs, rtol=rtol, atol=1e-14)
    assert_allclose(one.loss_curve_, other.loss_curve_, rtol=rtol)


class FourthPowers(SquaredError):  # noqa: N818
    """The loss r^4, by the two methods that define a loss."""

    def pointwise(self, prediction, y):
        return (prediction - y) ** 4

    def pointwise_derivative(self, prediction, y, out, ws):
        out[...] = 4 * (prediction - y) ** 3

    def gradient_scale(self, outputs):
        return 1.0


class OnlyItsGradient(SquaredError):  # noqa: N818
    def pointwise_derivative(self, prediction, y, out, ws):
        out[...] = np.clip(prediction - y, -1, 1)


@pytest.mark.parametrize("y", [Y, np.c_[Y, X[:, 1]]], ids=["one output", "two outputs"])
@pytest.mark.parametrize("output_activation", ["auto", "softplus"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_loss_by_its_two_methods(y, output_activation, solver):
    custom = CustomLoss(lambda y, p: (p - y) ** 4, lambda y, p: 4 * (p - y) ** 3)
    options = {"output_activation": output_activation, "solver": solver}
    own, theirs = fit(FourthPowers(), y, **options), fit(custom, y, **options)
    for one, other in zip(own.coefs_, theirs.coefs_, strict=True):
        assert_allclose(one, other, rtol=1e-9)
    assert own.loss_ == pytest.approx(theirs.loss_)


def test_a_gradient_alone():
    clipped, huber, squared = map(fit, (OnlyItsGradient(), Huber(1.0), "squared_error"))
    assert_array_equal(clipped.coefs_[0], huber.coefs_[0])
    assert not np.array_equal(clipped.coefs_[0], squared.coefs_[0])
    assert clipped.loss_curve_[0] > huber.loss_curve_[0]  # squares, which the outliers enlarge


def test_a_gradient_by_super_is_its_parents_for_several_outputs():
    class Same(SquaredError):  # noqa: N818
        def pointwise(self, prediction, y):
            return super().pointwise(prediction, y)

        def pointwise_derivative(self, prediction, y, out, ws):
            super().pointwise_derivative(prediction, y, out, ws)

    y = np.c_[Y, X[:, 1], X[:, 2]]
    assert_same(fit(Same(), y), fit(y=y))


class HalfSquare(Loss):
    """A loss that derives from none of ours."""

    name = "half_square"
    output_activation = ACTIVATIONS["identity"]

    def pointwise(self, prediction, y):
        return 0.5 * (prediction - y) ** 2

    def pointwise_derivative(self, prediction, y, out, ws):
        np.subtract(prediction, y, out=out)


def test_a_loss_of_ones_own():
    assert_same(fit(HalfSquare()), fit())
    net = BackpropClassifier(loss=HalfSquare(), **FIXED).fit(X, CLASSES)
    brier = BackpropClassifier(loss="squared_error", **FIXED).fit(X, CLASSES)
    assert_array_equal(net.coefs_[0], brier.coefs_[0])


@pytest.mark.parametrize("parent", [LogLoss, Focal])
def test_a_loss_of_classes_needs_its_other_forms(parent):
    class Doubled(parent):
        def backward(self, raw, y, terms, output_activation, ws):
            super().backward(raw, y, terms, output_activation, ws)
            raw *= 2

    three = BackpropClassifier(loss=Doubled(), **FIXED).fit(X, CLASSES)
    plain = BackpropClassifier(loss=parent(), **FIXED).fit(X, CLASSES)
    assert not np.array_equal(three.coefs_[0], plain.coefs_[0])
    with pytest.raises(TypeError, match=r"Doubled changes how .* must define its own binary"):
        BackpropClassifier(loss=Doubled(), **FIXED).fit(X, CLASSES > 0)


def test_a_loss_of_classes_with_a_name_of_its_own_keeps_its_forms():
    class Renamed(LogLoss):
        name = "renamed"

    two = BackpropClassifier(loss=Renamed(), **FIXED).fit(X, CLASSES > 0)
    assert_same(two, BackpropClassifier(**FIXED).fit(X, CLASSES > 0))


def test_what_is_returned_rather_than_written_is_refused():
    class Returns(Tanh):
        def forward(self, z, ws):
            return np.tanh(z)

    with pytest.raises(TypeError, match=r"Returns.forward must write into its arguments"):
        fit(activation=Returns())
    net = fit(activation="tanh").set_params(activation=Returns())
    with pytest.raises(TypeError, match="must write into its arguments"):
        net.predict(X)


def test_a_schedule_cannot_change_the_initial_rate():
    class Halving(Schedule):
        name = "halving"

        def rate(self, initial, clock):
            initial *= 0.5
            return initial

    with pytest.raises(ValueError, match="read-only"):
        fit(learning_rate=Halving())


def test_a_schedule_that_returns_nothing():
    class Forgetful(Schedule):
        def rate(self, initial, clock):
            initial / 2

    with pytest.raises(TypeError, match=r"rate of .*Forgetful.* must return a number"):
        fit(learning_rate=Forgetful())


@dataclass(frozen=True)
class Branching(Adam):
    """An optimizer that branches on its number, as plain code may."""

    cap: float = 1.0

    name = "branching"

    def step(self, params, grads, state, factor, scratch):
        if self.cap < 0.5:
            grads *= self.cap
        factor = factor * math.sqrt(self.cap)
        super().step(params, grads, state, factor, scratch)


def test_numbers_of_ones_own_optimizer_are_not_made_arrays():
    data = Data(X, Y)
    nets = [BackpropRegressor(**FIXED, solver=Branching(cap=cap)) for cap in (0.1, 0.1, 0.1, 0.9)]
    for k, net in enumerate(nets):
        net.set_params(alpha=0.1 * (k + 1))
    *alike, other = fit_requests([FitRequest(net, data) for net in nets])
    assert other == Alone("differs in cap")
    for net, found in zip(nets, alike, strict=False):
        assert isinstance(found, Fitted)
        assert_array_equal(found.estimator.coefs_[0], clone(net).fit(X, Y).coefs_[0])


def test_a_class_without_a_name_has_its_own():
    class Plain(Optimizer):
        def init(self, params):
            return {}

        def step(self, params, grads, state, factor, scratch):
            params -= factor * grads

    net = fit(solver=Plain()).partial_fit(X, Y)
    assert net._memory["solver"] == "Plain"
    sgd = fit(solver="sgd", momentum=0.0).partial_fit(X, Y)
    assert_allclose(net.coefs_[0], sgd.coefs_[0], rtol=1e-12)


class Empty:
    """Nothing is defined."""


@pytest.mark.parametrize(
    ("base", "parameter", "missing"),
    [
        (type(ACTIVATIONS["tanh"]).__mro__[1], "activation", "forward"),
        (Optimizer, "solver", "init"),
        (Schedule, "learning_rate", "rate"),
    ],
    ids=["activation", "optimizer", "schedule"],
)
def test_a_method_that_is_missing_is_named(base, parameter, missing):
    lacking = type("Lacking", (base,), {"__module__": __name__})
    with pytest.raises(NotImplementedError, match=f"Lacking must define {missing}"):
        fit(**{parameter: lacking()})


def test_constant_is_ours():
    assert Constant().overridden == frozenset()
    assert Branching().overridden >= {"step", "cap"}
