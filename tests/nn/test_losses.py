"""Losses: what each says of itself, for others to ask rather than compare its class."""

import pickle

import numpy as np
import pytest

from bpestimator import CustomLoss, Quantile
from bpestimator.nn import (
    CLASSIFICATION_LOSSES,
    LOSSES,
    REGRESSION_LOSSES,
    Exp,
    Increasing,
    Softmax,
    Tanh,
)


def test_labels_are_replaced_by_probabilities():
    for loss in LOSSES.values():
        assert not loss.soft.takes_labels
        assert loss.soft is loss or loss.takes_labels
    for loss in CLASSIFICATION_LOSSES.values():
        assert loss.binary.output_activation.name != "softmax"


@pytest.mark.parametrize("name", REGRESSION_LOSSES)
def test_zero_is_the_value_of_perfect_predictions(name):
    loss, y = REGRESSION_LOSSES[name], np.array([[0.5], [2.0]])
    assert loss.has_zero
    assert np.abs(loss.pointwise(y, y)).max() < 1e-15
    assert (loss.pointwise(y * 1.5, y) > 0).all()


def test_a_custom_loss_may_be_negative():
    assert not CustomLoss(np.subtract, np.ones_like).has_zero


def test_quantiles_say_their_levels_and_join_their_outputs():
    one, several = Quantile(0.9), Quantile([0.1, 0.9])
    assert (one.levels, several.levels) == ((0.9,), (0.1, 0.9))
    assert one.output_activation_with(Tanh()) == Tanh()
    assert several.output_activation_with(Tanh()) == Increasing(Tanh())
    for name, loss in LOSSES.items():
        assert bool(loss.levels) == (name == "quantile")
        assert loss.output_activation_with(Tanh()) == Tanh()


@pytest.mark.parametrize("kind", [Exp, Softmax, Increasing])
def test_pickles_of_0_1_find_their_output_activations(kind):
    assert pickle.loads(f"cbpestimator.nn.links\n{kind.__name__}\n.".encode()) is kind
