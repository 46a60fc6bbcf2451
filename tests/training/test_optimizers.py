"""Optimizers: ten steps as in PyTorch, parameters in range, and what a user can choose."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bpestimator import BackpropClassifier
from bpestimator.training import OPTIMIZERS, SGD, Adagrad, Adam, AdamW, NAdam, RMSprop

# Made by make_torch_steps.py, beside this file.
TORCH = json.loads(Path(__file__).with_name("torch_steps.json").read_text())
PATHS, START = TORCH["paths"], TORCH["start"]
OURS = {
    "adam": (0.05, Adam(0.8, 0.95, 1e-12)),
    "adamw": (0.05, AdamW(epsilon=1e-12, weight_decay=0.3)),
    "nadam": (0.05, NAdam(0.8, 0.95, 1e-12)),
    "adam, epsilon": (0.05, Adam(0.8, 0.95, 1e-3)),
    "adamw, epsilon": (0.05, AdamW(epsilon=1e-3, weight_decay=0.3)),
    "nadam, epsilon": (0.05, NAdam(0.8, 0.95, 1e-3)),
    "rmsprop": (0.05, RMSprop(0.9, 1e-3)),
    "adagrad": (0.3, Adagrad(1e-3)),
    "sgd": (0.01, SGD(0.7, True)),
    "sgd without nesterov": (0.01, SGD(0.7, False)),
}


def path(optimizer, rate):
    params = np.array(START)
    state, rate = optimizer.init(params), np.array([rate])
    grads, scratch, factor = np.empty(4), np.empty(4), np.empty(optimizer.n_factors)
    for gradient in TORCH["gradients"]:
        grads[:] = gradient
        optimizer.begin(state, rate, factor)
        optimizer.decay(params, rate)
        optimizer.step(params, grads, state, factor, scratch)
        yield params.copy()


def test_every_optimizer_is_compared():
    assert {optimizer.name for _, optimizer in OURS.values()} == set(OPTIMIZERS)
    assert set(OURS) == set(PATHS)


@pytest.mark.parametrize("name", PATHS)
def test_ten_steps_are_pytorchs(name):
    rate, optimizer = OURS[name]
    found = list(path(optimizer, rate))
    # PyTorch keeps NAdam's product of mu in float32.
    tolerance = 1e-8 if name.startswith("nadam") else 1e-11
    assert_allclose(found, PATHS[name], rtol=0, atol=tolerance)
    assert not np.allclose(found[-1], START, atol=0.01)


@pytest.mark.parametrize(
    ("kind", "params", "rule"),
    [
        (SGD, {"momentum": 1.1}, r"momentum of SGD must be in the range \[0, 1\]"),
        (Adam, {"beta_1": 1.0}, r"beta_1 of Adam must be in the range \[0, 1\)"),
        (Adam, {"beta_2": -0.1}, r"beta_2 of Adam must be in the range \[0, 1\)"),
        (NAdam, {"epsilon": 0.0}, r"epsilon of NAdam must be in the range \(0, inf\)"),
        (NAdam, {"momentum_decay": -1}, r"momentum_decay of NAdam must be in the range \[0, inf\)"),
        (AdamW, {"weight_decay": np.nan}, r"weight_decay of AdamW must be in the range \[0, inf\)"),
        (RMSprop, {"rho": 1.0}, r"rho of RMSprop must be in the range \[0, 1\)"),
        (RMSprop, {"epsilon": np.inf}, r"epsilon of RMSprop must be in the range \(0, inf\)"),
        (Adagrad, {"epsilon": -1e-8}, r"epsilon of Adagrad must be in the range \(0, inf\)"),
    ],
)
def test_numbers_out_of_range(kind, params, rule):
    (value,) = params.values()
    with pytest.raises(ValueError, match=rule + rf"\. Got {value!r}"):
        kind(**params)


@pytest.mark.parametrize("value", ["0.1", None, True])
def test_what_is_no_number(value):
    with pytest.raises(TypeError, match=f"weight_decay of AdamW must be a number. Got {value!r}"):
        AdamW(weight_decay=value)


@pytest.mark.parametrize("value", ["no", 1, None])
def test_what_is_no_flag(value):
    with pytest.raises(TypeError, match=f"nesterov of SGD must be True or False. Got {value!r}"):
        SGD(nesterov=value)


def test_numbers_of_numpy_become_pythons():
    assert type(SGD(np.float32(0.9)).momentum) is float
    assert repr(Adam(np.float64(0.5))) == "Adam(beta_1=0.5, beta_2=0.999, epsilon=1e-08)"


def test_objects_compare_print_and_pickle():
    assert AdamW(weight_decay=0.1) == AdamW(weight_decay=0.1) != AdamW()
    assert AdamW() != Adam()
    assert repr(RMSprop(0.5)) == "RMSprop(rho=0.5, epsilon=1e-08)"
    for kind in OPTIMIZERS.values():
        assert pickle.loads(pickle.dumps(kind())) == kind()


@pytest.mark.parametrize("kind", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_fields_that_the_estimators_parameters_set(kind):
    defaults = BackpropClassifier().get_params()
    chosen = {field: defaults[name] for name, field in kind.from_parameters.items()}
    assert kind(**chosen) == kind()
    others = {"momentum": 0.5, "nesterov": False, "beta_1": 0.5, "beta_2": 0.5, "epsilon": 1e-3}
    for field in chosen:
        assert getattr(kind(**{field: others[field]}), field) == others[field]


def test_only_sgd_takes_steps_in_proportion_to_the_gradient():
    sizes = {}
    for name, kind in OPTIMIZERS.items():
        optimizer, moved = kind(), []
        for scale in (1.0, 100.0):
            params = np.ones(3)
            state, rate, factor = (
                optimizer.init(params),
                np.array([0.01]),
                np.empty(optimizer.n_factors),
            )
            optimizer.begin(state, rate, factor)
            optimizer.step(params, np.full(3, scale), state, factor, np.empty(3))
            moved.append(1 - params[0])
        sizes[name] = moved[1] / moved[0]
    for name, kind in OPTIMIZERS.items():
        expected = 1 if kind.scales_by_gradient_size else 100
        assert sizes[name] == pytest.approx(expected, rel=1e-4), name
