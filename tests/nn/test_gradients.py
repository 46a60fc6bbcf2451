"""Every activation x loss x number of outputs x lead shape x penalty, against differences."""

from dataclasses import dataclass
from itertools import count

import numpy as np
import pytest

from bpestimator.nn import (
    ACTIVATIONS,
    LOSSES,
    OUTPUT_ACTIVATIONS,
    REGRESSION_LOSSES,
    CustomLoss,
    Huber,
    Increasing,
    NetworkSpec,
    Quantile,
    Softmax,
    SquaredError,
)
from bpestimator.nn.activations import Tanh
from bpestimator.nn.gradient_check import directional_derivative, gradient_error
from bpestimator.training import L2, Batch
from bpestimator.training.lbfgs import FullBatch

TOLERANCE = 1e-7
ROWS, FEATURES, HIDDEN = 7, 3, (5, 4)
LEADS = [(), (3,), (2, 3)]


def targets(loss, outputs, rng):
    if loss.takes_labels:
        return rng.integers(outputs, size=ROWS)
    low, high = np.clip(loss.domain, -3, 3)
    columns = next(n for n in range(1, outputs + 1) if loss.outputs_of(n) == outputs)
    return rng.uniform(low, high, size=(ROWS, columns))


def minimised(spec, batch, alpha, lead):
    """What the gradient is the gradient of: not always what is reported (issue #8349)."""
    penalty = L2(alpha)
    shape = (*lead, spec.layout.n_parameters)
    full_batch = FullBatch(spec, batch, penalty, np.empty(shape))
    scale = spec.loss.gradient_scale(spec.sizes[-1])

    def objective(params):
        value, gradient = full_batch(params)
        squares = np.sum(params[..., : spec.layout.n_weights] ** 2, axis=-1)
        half_alpha = 0.5 * (alpha if np.ndim(alpha) == 0 else alpha[..., 0])
        penalty_value = half_alpha * squares / batch.total
        return scale * (value - penalty_value) + penalty_value, gradient

    return objective


def worst_error(activation, loss, outputs, lead, alpha, weighted, output_activation=None):
    spec = NetworkSpec(
        (FEATURES, *HIDDEN, outputs), (activation,) * len(HIDDEN), loss, output_activation
    )
    for seed in count():
        rng = np.random.default_rng(seed)
        weight = rng.uniform(0.5, 2, size=ROWS) if weighted else None
        total = np.array(ROWS if weight is None else weight.sum(), float)
        batch = Batch(rng.normal(size=(ROWS, FEATURES)), targets(loss, outputs, rng), weight, total)
        params = rng.uniform(-1, 1, size=(*lead, spec.layout.n_parameters))
        direction = rng.normal(size=params.shape)
        objective = minimised(spec, batch, alpha, lead)
        # Where two step sizes disagree there is a kink (of relu) in between: draw again.
        estimates = [
            directional_derivative(objective, params, direction, step) for step in (1e-4, 1e-5)
        ]
        if np.allclose(*estimates, rtol=1e-6, atol=1e-7):
            return gradient_error(objective, params, direction).max()
        assert seed < 20, "no smooth point found"
    return None


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("lead", LEADS, ids=str)
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_gradient_is_the_derivative(activation, loss, lead, weighted):
    for outputs in (2, 9) if loss.takes_labels else (1, 3):
        for alpha in (0.0, 0.5, np.linspace(0.1, 1, int(np.prod(lead))).reshape((*lead, 1))):
            error = worst_error(activation, loss, outputs, lead, alpha, weighted)
            assert error < TOLERANCE, f"{outputs} outputs, alpha={alpha}"


def suits(loss, output_activation):
    return (
        loss.predictions[0] <= output_activation.bounds[0]
        and output_activation.bounds[1] <= loss.predictions[1]
    )


OF_NUMBERS = {
    **REGRESSION_LOSSES,
    "huber(2)": Huber(2.0),
    "quantiles": Quantile((0.1, 0.5, 0.9)),
    "custom": CustomLoss(lambda y, p: np.cosh(p - y), lambda y, p: np.sinh(p - y)),
    "of rows": CustomLoss(
        lambda y, p: np.sum((p - y) ** 2, -1) ** 2,
        lambda y, p: 4 * np.sum((p - y) ** 2, -1, keepdims=True) * (p - y),
    ),
}
PAIRS = {
    f"{loss_name} {out_activation}": (
        loss,
        Increasing(output_activation) if loss_name == "quantiles" else output_activation,
    )
    for loss_name, loss in OF_NUMBERS.items()
    for out_activation, output_activation in OUTPUT_ACTIVATIONS.items()
    if suits(loss, output_activation)
}


@pytest.mark.parametrize("lead", LEADS, ids=str)
@pytest.mark.parametrize(("loss", "output_activation"), PAIRS.values(), ids=PAIRS)
def test_gradient_of_every_loss_through_every_output_activation(loss, output_activation, lead):
    for outputs in (3,) if loss.outputs_of(1) > 1 else (1, 3):
        error = worst_error(ACTIVATIONS["tanh"], loss, outputs, lead, 0.1, True, output_activation)
        assert error < TOLERANCE, f"{outputs} outputs"


@pytest.mark.parametrize("lead", LEADS, ids=str)
@pytest.mark.parametrize("loss", [SquaredError(), OF_NUMBERS["custom"], OF_NUMBERS["of rows"]])
def test_gradient_of_losses_of_probabilities(loss, lead):
    for output_activation in (Softmax(), ACTIVATIONS["logistic"]):
        error = worst_error(ACTIVATIONS["tanh"], loss, 4, lead, 0.1, True, output_activation)
        assert error < TOLERANCE, output_activation


@dataclass(frozen=True)
class SlightlyWrongTanh(Tanh):
    def backward(self, a, delta, ws):
        incoming = delta.copy()
        super().backward(a, delta, ws)
        delta += 1e-5 * incoming


@dataclass(frozen=True)
class SlightlyWrongSquaredError(SquaredError):
    def backward(self, raw, y, terms, output_activation, ws):
        super().backward(raw, y, terms, output_activation, ws)
        raw *= 1 + 1e-5


@pytest.mark.parametrize("lead", LEADS, ids=str)
@pytest.mark.parametrize(
    ("activation", "loss"),
    [
        (SlightlyWrongTanh(), LOSSES["squared_error"]),
        (ACTIVATIONS["tanh"], SlightlyWrongSquaredError()),
    ],
    ids=["activation", "loss"],
)
def test_a_derivative_off_by_1e_5_is_found(activation, loss, lead):
    assert worst_error(activation, loss, 3, lead, 0.1, weighted=False) > TOLERANCE
