"""A column of ones may stand for biases only where no bit depends on it."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from bpestimator import BackpropClassifier, BackpropRegressor, LockstepGridSearchCV
from bpestimator.estimators.fitting import stochastic
from bpestimator.nn import SharedRows, layers
from bpestimator.nn.kernels import bias_trick
from bpestimator.nn.kernels.bias_trick import (
    ExactColumns,
    append_ones,
    exact_columns,
    rows_with_ones,
    sum_is_exact,
    sum_over_batch,
)
from bpestimator.nn.kernels.workspace import Workspace
from bpestimator.nn.parameters import Layout
from bpestimator.training import Batches, batches

FLOATS = (np.float64, np.float32)
SHAPES = list(product([2, 7, 32, 50, 200], [1, 2, 4, 5, 13, 30], [2, 3, 32, 100]))


def numbers(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.fixture
def fresh():
    """A function that forgets all that has been tried out."""

    def forget():
        exact_columns.cache_clear()
        sum_is_exact.cache_clear()

    yield forget
    forget()


@pytest.fixture
def never(monkeypatch, fresh):
    """A function that has rows go without ones from now on; till then even short fits have them."""
    monkeypatch.setattr(batches, "EARNED_STEPS", 0)

    def switch_off():
        monkeypatch.setattr(bias_trick, "MOST_FEATURES", 0)
        monkeypatch.setattr(bias_trick, "FEW_UNITS", 0)
        fresh()

    return switch_off


def layer(x, delta, flat, layout):
    """The first layer's weighted sum, and the gradients of its weights and biases."""
    rows, lead = delta.shape[-2], delta.shape[:-2]
    ws = Workspace(layout.sizes, rows, lead, delta.dtype)
    grads = np.full_like(flat, np.nan)
    np.copyto(ws.deltas[-1], delta)
    layers.forward(x, layout.bind(flat), 0, ws.outputs[0], ws)
    sums = ws.outputs[0].copy()
    np.copyto(ws.deltas[0], delta)
    layers.gradient(x, layout.bind(grads), 0, ws.deltas[0], ws)
    assert np.isfinite(grads).all()
    return sums, grads


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("rows", "features", "units"), SHAPES)
@pytest.mark.parametrize("lead", [(), (3,)], ids=str)
def test_exact_columns_of_ones_change_no_bit(lead, rows, features, units, dtype):
    layout = Layout((features, units))
    x = numbers(rows, features, dtype=dtype)
    flat = numbers(*lead, layout.n_parameters, dtype=dtype, seed=1)
    delta = numbers(*lead, rows, units, dtype=dtype, seed=2)
    stacked = np.array(np.broadcast_to(x, (*lead, *x.shape)))
    found = exact_columns(rows, features, units, np.dtype(dtype))
    extended = np.array(np.broadcast_to(append_ones(x, 2), (*lead, rows, features + 2)))
    # Other batches of the same rows may be exact, except of a single feature.
    bringing = rows_with_ones(extended, features, found) if features > 1 else stacked
    for apart, together in zip(
        layer(stacked, delta, flat, layout), layer(bringing, delta, flat, layout), strict=True
    ):
        assert_array_equal(together, apart)


OF_50_ROWS = numbers(50, 4), numbers(50, 1, seed=1), None
ONES_FOR_LONG = {"batch_size": 50, "shuffle": True, "first_units": 6, "epochs": 1000}


@pytest.mark.parametrize(
    "found",
    [ExactColumns(1, 0), ExactColumns(0, 1), ExactColumns(0, 2), ExactColumns(1, 2)],
    ids=str,
)
def test_ones_are_used_where_they_are_exact(found, monkeypatch):
    monkeypatch.setattr(batches, "exact_columns", lambda *shape: found)
    (batch,) = Batches(*OF_50_ROWS, **ONES_FOR_LONG).blocks[(50,)]
    assert batch.x.plain.shape == (50, 4)
    for rows, columns in zip((batch.x.to_add, batch.x.to_sum), found, strict=True):
        assert (rows.shape == (50, 4 + columns)) if columns else (rows is None)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("units", [1, 2, 3, 10, 32, 33])
@pytest.mark.parametrize("rows", [1, 2, 7, 50, 200, 1000])
def test_sums_over_few_units_are_numpys(rows, units, dtype):
    for seed in range(5):
        delta, out = numbers(rows, units, dtype=dtype, seed=seed), np.empty((1, units), dtype)
        sum_over_batch(delta, out, Workspace((), rows))
        assert_array_equal(out, np.add.reduce(delta, 0, keepdims=True))


@pytest.mark.parametrize("columns", [1, 2])
def test_sums_with_ones_are_sums(columns):
    layout = Layout((4, 6))
    x, delta, flat = numbers(9, 4), numbers(9, 6, seed=1), numbers(30, seed=2)
    bringing = rows_with_ones(append_ones(x, columns), 4, ExactColumns(1, columns))
    sums, grads = layer(bringing, delta, flat, layout)
    views = layout.bind(flat)
    np.testing.assert_allclose(sums, x @ views.weights[0] + views.biases[0], rtol=1e-12)
    np.testing.assert_allclose(layout.bind(grads).weights[0], x.T @ delta, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(layout.bind(grads).biases[0][0], delta.sum(0), rtol=1e-12)


@pytest.mark.parametrize("columns", [1, 2])
def test_models_that_share_rows_share_their_ones(columns):
    layout = Layout((4, 6))
    x, flat, delta = numbers(2, 9, 4), numbers(3, 30, seed=1), numbers(3, 9, 6, seed=2)
    of_models = [(slice(0, 2), 0), (slice(2, 3), 1)]
    shared = SharedRows([(models, append_ones(x[k], columns)) for models, k in of_models])
    repeated = np.stack([append_ones(x[k], columns) for k in (0, 0, 1)])
    found = ExactColumns(1, columns)
    for one, other in zip(
        layer(rows_with_ones(shared, 4, found), delta, flat, layout),
        layer(rows_with_ones(repeated, 4, found), delta, flat, layout),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "limit", "options"),
    [
        ("COPIED_BYTES", OF_50_ROWS[0].nbytes - 1, {}),  # rows too many to copy
        ("EARNED_STEPS", 1001, {}),  # training too short to earn what trying out takes
        ("EARNED_STEPS", 100, {"first_units": 0}),
        ("EARNED_STEPS", 100, {"shuffle": False}),
    ],
)
def test_rows_go_without_ones(name, limit, options, monkeypatch):
    monkeypatch.setattr(
        batches, "exact_columns", lambda m, d, units, dtype: ExactColumns(*[int(units > 0)] * 2)
    )
    monkeypatch.setattr(batches, name, limit)
    (batch,) = Batches(*OF_50_ROWS, **ONES_FOR_LONG | options).blocks[(50,)]
    assert isinstance(batch.x, np.ndarray)


@pytest.mark.parametrize("dtype", FLOATS)
def test_trials_tell_what_is_exact_from_what_is_not(monkeypatch, fresh, dtype):
    dtype = np.dtype(dtype)
    with monkeypatch.context() as patch:
        # Small integers have the same sums in any order, on any BLAS.
        patch.setattr(bias_trick, "_numbers", lambda dtype: np.arange(2**16).astype(dtype) % 7)
        fresh()
        assert exact_columns(20, 5, 6, dtype) == (1, 1)
        assert sum_is_exact(20, 3, dtype)
        patch.setattr(bias_trick, "append_ones", lambda x, n: np.nextafter(append_ones(x, n), 9))
        fresh()
        assert exact_columns(20, 5, 6, dtype) == (0, 0)


def test_networks_whose_products_have_threads_go_without(monkeypatch):
    """What rounds alike on one thread need not on several."""
    seen = []
    monkeypatch.setattr(stochastic, "Batches", lambda *x, **options: seen.append(options) or 1 / 0)
    X, y = numbers(30, 4), numbers(30, seed=1)
    for limit in (30 * 4 * 6, 30 * 4 * 6 + 1):
        monkeypatch.setattr(stochastic, "THREADED_PRODUCT", limit)
        with pytest.raises(ZeroDivisionError):
            BackpropRegressor(hidden_layer_sizes=(6,)).fit(X, y)
    assert [options["first_units"] for options in seen] == [0, 6]


FITS = {
    "classes": (BackpropClassifier, {}),
    "one layer": (BackpropClassifier, {"hidden_layer_sizes": ()}),
    "one unit": (BackpropClassifier, {"hidden_layer_sizes": (1,)}),
    "deep": (BackpropClassifier, {"hidden_layer_sizes": (8, 5, 6), "activation": "tanh"}),
    "full batch": (BackpropRegressor, {"batch_size": 103, "solver": "sgd"}),
    "odd last batch": (BackpropRegressor, {"batch_size": 17}),
    "early stopping": (BackpropClassifier, {"early_stopping": True}),
    "auto": (BackpropClassifier, {"learning_rate_init": "auto"}),
    "clipped": (BackpropRegressor, {"max_grad_norm": 0.1}),
    "dropout": (BackpropRegressor, {"dropout": 0.5, "batch_size": 20}),
    "diagnostics": (BackpropRegressor, {"diagnostics": True, "batch_size": 20}),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("kind", "params"), FITS.values(), ids=FITS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fits_with_ones_equal_fits_without(kind, params, weighted, dtype, never):
    X = numbers(103, 5, dtype=dtype)
    y = np.digitize(X[:, 0], [-0.5, 0.5]) if kind is BackpropClassifier else X[:, 0] ** 2
    weight = np.linspace(0, 1, 103) if weighted else None
    settings = {"hidden_layer_sizes": (12,), "max_iter": 4, "random_state": 0, **params}

    def fitted():
        est = kind(**settings).fit(np.asfortranarray(X), y, sample_weight=weight)
        return [*est.coefs_, *est.intercepts_, est.loss_curve_]

    with_them = fitted()
    never()
    for one, other in zip(with_them, fitted(), strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("params", [{}, {"hidden_layer_sizes": ()}, {"batch_size": 7}], ids=str)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_searches_with_ones_equal_searches_without(params, never):
    X = numbers(103, 5)
    y = np.digitize(X[:, 0], [-0.5, 0.5])
    est = BackpropClassifier(**{"hidden_layer_sizes": (12,), "max_iter": 5, **params})
    est.set_params(random_state=0)

    def searched():
        search = LockstepGridSearchCV(est, {"learning_rate": [1e-3, 1e-2, 1e-1]}, cv=3)
        search.fit(X, y)
        return [*search.best_estimator_.coefs_, search.cv_results_["split0_test_score"]]

    with_them = searched()
    never()
    for one, other in zip(with_them, searched(), strict=True):
        assert_array_equal(one, other)
