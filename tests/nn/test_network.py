"""Networks: layout, initial weights, many models at once, prediction in chunks."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from bpestimator.nn import (
    ACTIVATIONS,
    INITIALIZERS,
    LOSSES,
    Layout,
    NetworkSpec,
    Predictor,
    Workspace,
    backward,
    forward,
    initial_parameters,
    predict,
    rows_of,
)
from bpestimator.nn.parameters import move
from bpestimator.nn.predict import CHUNK_ROWS, EXACT_ROWS


def gradient(spec, x, y, params):
    """Summed-loss gradient and terms, for any lead shape."""
    grad = np.full_like(params, np.nan)
    lead, rows = params.shape[:-1], x.shape[-2]
    ws = Workspace(spec.sizes, rows, lead, params.dtype)
    views, grads = spec.layout.bind(params), spec.layout.bind(grad)
    terms = np.empty((*lead, rows, spec.loss.n_terms(spec.sizes[-1])))
    x = rows_of(x)
    forward(x, views, spec, ws)
    spec.loss.backward(ws.outputs[-1], y, terms, spec.output_activation, ws)
    backward(x, views, grads, spec, ws)
    return grad, terms


@pytest.fixture(params=LOSSES)
def problem(request):
    loss = LOSSES[request.param]
    rng = np.random.default_rng(0)
    spec = NetworkSpec((5, 6, 4, 3), (ACTIVATIONS["relu"], ACTIVATIONS["tanh"]), loss)
    y = rng.integers(3, size=8) if loss.takes_labels else rng.uniform(0, 1, (8, 3))
    return spec, rng.normal(size=(8, 5)), y, rng


def test_layout_puts_the_first_layers_biases_below_its_weights():
    layout = Layout((2, 3, 1))
    views = layout.bind(np.arange(13.0))
    assert_array_equal(views.weights[1], [[0], [1], [2]])
    assert_array_equal(views.weights[0], [[3, 4, 5], [6, 7, 8]])
    assert_array_equal(views.biases[0], [[9, 10, 11]])
    assert_array_equal(views.biases[1], [[12]])
    assert_array_equal(views.first, [[3, 4, 5], [6, 7, 8], [9, 10, 11]])
    packed = layout.pack(views.weights, [b[0] for b in views.biases], np.float32)
    assert packed.dtype == np.float32
    assert_array_equal(packed, np.arange(13))


def test_layout_from_the_first_layer_on_is_scikit_learns():
    own, in_order = Layout((2, 3, 4, 1)), Layout((2, 3, 4, 1), from_first=True)
    views = in_order.bind(np.arange(30.0))
    parts = [*views.weights, *views.biases]
    assert_array_equal(np.concatenate([part.ravel() for part in parts]), np.arange(30))
    there = move(np.arange(30.0), in_order, own)
    assert_array_equal(own.bind(there).weights[0], views.weights[0])
    assert_array_equal(move(there, own, in_order), np.arange(30))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_initial_weights_stay_within_their_bound(dtype):
    layout = Layout((50, 30, 20))
    flat = initial_parameters(layout, INITIALIZERS["auto"], 6.0, np.random.RandomState(0), dtype)
    assert flat.dtype == dtype
    views = layout.bind(flat)
    for weights, biases in zip(views.weights, views.biases, strict=True):
        bound = np.sqrt(6 / sum(weights.shape))
        assert 0.9 * bound < np.abs(weights).max() <= bound
        assert np.abs(biases).max() <= bound


def test_models_on_the_same_rows_equal_each_alone(problem):
    spec, x, y, rng = problem
    params = rng.normal(size=(4, spec.layout.n_parameters))
    together, many_terms = gradient(spec, x, y, params)
    for k in range(4):
        alone, terms = gradient(spec, x, y, params[k].copy())
        assert_allclose(together[k], alone, rtol=1e-12)
        assert_allclose(many_terms[k], terms, rtol=1e-12)


def test_folds_and_candidates_equal_each_alone(problem):
    spec, _, y, rng = problem
    x = rng.normal(size=(2, 1, 8, 5))
    y = np.stack([y, y[::-1]])[:, None]
    params = rng.normal(size=(2, 3, spec.layout.n_parameters))
    together, many_terms = gradient(spec, x, y, params)
    for fold, candidate in np.ndindex(2, 3):
        alone, terms = gradient(spec, x[fold, 0], y[fold, 0], params[fold, candidate].copy())
        assert_allclose(together[fold, candidate], alone, rtol=1e-12)
        assert_allclose(many_terms[fold, candidate], terms, rtol=1e-12)


def test_values_of_many_batches_equal_each_alone(problem):
    spec, _, y, rng = problem
    many_terms = rng.uniform(0.1, 0.9, size=(2, 8, spec.loss.n_terms(3)))
    weight = rng.uniform(size=8)
    for w in (None, weight):
        together = spec.loss.value(many_terms, np.stack([y, y]), w, 3)
        alone = [spec.loss.value(terms, y, w, 3) for terms in many_terms]
        assert_allclose(together, alone, rtol=1e-14)


@pytest.mark.parametrize("lead", [(), (3,)], ids=str)
@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csc_matrix, sp.csr_array])
def test_sparse_rows_give_what_dense_rows_give(problem, container, lead):
    spec, x, y, rng = problem
    x = x * (rng.uniform(size=x.shape) < 0.4)
    params = rng.normal(size=(*lead, spec.layout.n_parameters))
    dense, _ = gradient(spec, x, y, params)
    sparse, _ = gradient(spec, container(x), y, params)
    assert_allclose(sparse, dense, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("rows", [1, EXACT_ROWS, EXACT_ROWS + 1, 5 * CHUNK_ROWS])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_predictions_do_not_depend_on_chunks(problem, container, rows):
    spec, _, _, rng = problem
    x = container(rng.normal(size=(rows, 5)))
    params = rng.normal(size=spec.layout.n_parameters)
    whole = Predictor(x, spec, params.dtype)
    whole(params + 1)
    assert_allclose(predict(x, spec.layout.bind(params), spec), whole(params), rtol=1e-12)


@pytest.mark.parametrize("sizes", [(50, 100, 10), (70, 90, 60, 17), (200, 90, 2)])
@pytest.mark.parametrize("layout", [np.asarray, np.asfortranarray, lambda x: x[:, ::-1]])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_predictions_do_not_depend_on_the_parts_of_large_products(sizes, layout, dtype):
    spec = NetworkSpec(sizes, (ACTIVATIONS["tanh"],) * (len(sizes) - 2), LOSSES["log_loss"])
    rng = np.random.default_rng(0)
    x = layout(rng.normal(size=(EXACT_ROWS + 3, sizes[0])).astype(dtype))
    params = (rng.normal(size=spec.layout.n_parameters) / 10).astype(dtype)
    whole = Predictor(x, spec, params.dtype)(params)
    in_chunks = predict(x, spec.layout.bind(params), spec)
    assert in_chunks.dtype == dtype
    assert_allclose(in_chunks, whole, rtol=1e-12 if dtype is np.float64 else 1e-3)


def test_losses_of_extreme_outputs_are_finite():
    for loss in LOSSES.values():
        if loss.output_activation.name == "exp":
            continue  # exp(1000) is infinite for scikit-learn, too
        raw = np.array([[1000.0, -1000.0, 0.0]])
        y = np.array([1]) if loss.takes_labels else np.array([[0.0, 1.0, 0.0]])
        terms = np.empty((1, loss.n_terms(3)))
        loss.backward(raw, y, terms, loss.output_activation, Workspace((3, 3), 1))
        assert np.isfinite(raw).all(), loss.name
        assert np.isfinite(loss.value(terms, y, None, 3)), loss.name
