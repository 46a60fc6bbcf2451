"""Activations: their values by independent formulas, far from zero too, and their parameters."""

import pickle
from math import erf, exp, log1p, sqrt, tanh

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bpestimator.nn import (
    ACTIVATIONS,
    ELU,
    LOSSES,
    CustomActivation,
    LeakyReLU,
    Mish,
    NetworkSpec,
    Workspace,
    forward,
)
from bpestimator.nn.recording import recording

BY_HAND = {
    "identity": lambda z: z,
    "logistic": lambda z: 1 / (1 + exp(-z)),
    "tanh": tanh,
    "relu": lambda z: max(z, 0.0),
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "elu": lambda z: z if z > 0 else exp(z) - 1,
    "selu": lambda z: 1.0507009873554805 * (z if z > 0 else 1.6732632423543772 * (exp(z) - 1)),
    "gelu": lambda z: z * (1 + erf(z / sqrt(2))) / 2,
    "silu": lambda z: z / (1 + exp(-z)),
    "mish": lambda z: z * tanh(log1p(exp(z))),
    "softplus": lambda z: log1p(exp(z)),
}
POINTS = (-30.0, -3.0, -1.5, -0.25, 0.0, 0.5, 1.0, 4.0, 30.0)


def applied(activation, z):
    z = np.array([z])
    ws = Workspace((z.size, z.size), 1, (), z.dtype)
    activation.forward(z, ws)
    return z[0]


def derivatives(activation, z):
    """f'(z), by the two passes."""
    a, delta = np.array([z]), np.ones((1, len(z)), np.asarray(z).dtype)
    ws = Workspace((a.size, a.size), 1, (), a.dtype)
    activation.forward(a, ws)
    activation.backward(a, delta, ws)
    return delta[0]


def test_every_activation_has_a_formula():
    assert set(BY_HAND) == set(ACTIVATIONS)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values(name, dtype):
    found = applied(ACTIVATIONS[name], np.array(POINTS, dtype))
    assert found.dtype == dtype
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    assert_allclose(found, [BY_HAND[name](z) for z in POINTS], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_far_from_zero_all_is_finite(name, dtype):
    far = np.array([-1e30, -1e4, -100.0, 100.0, 1e4, 1e30], dtype)
    with np.errstate(over="ignore"):
        values, found = applied(ACTIVATIONS[name], far), derivatives(ACTIVATIONS[name], far)
    assert np.isfinite(values).all()
    assert np.isfinite(found).all()
    assert (np.abs(found) < 2).all()


@pytest.mark.parametrize("value", [-0.1, 1.0, np.nan])
def test_leaky_relu_checks_its_slope(value):
    with pytest.raises(ValueError, match=r"slope of LeakyReLU must be in the range \[0, 1\)"):
        LeakyReLU(value)


@pytest.mark.parametrize("value", [0.0, -1.0, np.inf, np.nan])
def test_elu_checks_its_alpha(value):
    with pytest.raises(ValueError, match=r"alpha of ELU must be in the range \(0, inf\)"):
        ELU(value)


def test_objects_compare_print_and_pickle():
    assert LeakyReLU(0.1) == LeakyReLU(slope=0.1) != LeakyReLU()
    assert repr(LeakyReLU(0.1)) == "LeakyReLU(slope=0.1)"
    for activation in (*ACTIVATIONS.values(), ELU(0.5), CustomActivation(np.sin, np.cos)):
        assert pickle.loads(pickle.dumps(activation)) == activation
        assert hash(activation) == hash(pickle.loads(pickle.dumps(activation)))


def test_parameters_act():
    assert_allclose(applied(LeakyReLU(0.5), np.array([-2.0, 2.0])), [-1.0, 2.0])
    assert_allclose(derivatives(LeakyReLU(0.5), np.array([-2.0, 2.0])), [0.5, 1.0])
    assert_allclose(applied(ELU(3.0), np.array([-1.0, 2.0])), [3 * (exp(-1) - 1), 2.0])
    assert_allclose(derivatives(ELU(3.0), np.array([-1.0, 2.0])), [3 * exp(-1), 1.0])


def test_prediction_needs_no_derivatives():
    spec = NetworkSpec((2, 3, 1), (Mish(),), LOSSES["squared_error"])
    ws = Workspace(spec.sizes, 4, (), float, False)
    params = spec.layout.bind(np.ones(spec.layout.n_parameters))
    with recording() as calls:
        forward(np.ones((4, 2)), params, spec, ws)
    assert len(calls) == 2 * 2 + 3  # two layers; log, tanh, product
    assert ws.derivative(ws.outputs[0]) is None


def test_a_function_of_another_shape_is_an_error():
    first = CustomActivation(lambda z: z[:, :1], np.cos)
    with pytest.raises(ValueError, match="function of a CustomActivation must return"):
        applied(first, np.ones(3))
    second = CustomActivation(np.sin, lambda z: 1.0)
    with pytest.raises(ValueError, match="derivative of a CustomActivation must return"):
        applied(second, np.ones(3))


@pytest.mark.parametrize(
    "shape", [(97, 131), (200, 100), (3, 200, 50), (7, 30, 50), (2, 3, 90, 16)]
)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_do_not_depend_on_their_place(name, shape):
    *lead, rows, width = shape
    ws = Workspace((width, width), rows, tuple(lead), np.float64)
    (layer,) = ws.outputs  # of several models, row by row in memory
    z = np.random.default_rng(0).normal(size=shape)
    layer[...] = z
    ACTIVATIONS[name].forward(layer, ws)
    alone = applied(ACTIVATIONS[name], z.ravel()).reshape(shape)
    assert_allclose(layer, alone, rtol=1e-15, atol=1e-16)
