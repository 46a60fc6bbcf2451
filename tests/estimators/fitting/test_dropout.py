"""Dropout and initial weights."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV

from bpestimator import BackpropClassifier, BackpropRegressor, He, Orthogonal
from bpestimator.nn import (
    ACTIVATIONS,
    INITIALIZERS,
    NetworkSpec,
    SparseRows,
    Workspace,
    backward,
    forward,
)
from bpestimator.training import Dropout

from data import assert_candidates_score_as_alone, weights

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.RandomState(0)
X = RNG.normal(size=(60, 5))
Y = RNG.randint(0, 3, 60)
Z = X[:, 0] * X[:, 1]


def classifier(**params):
    params = {"hidden_layer_sizes": (20, 10), "max_iter": 4, "random_state": 0} | params
    return BackpropClassifier(**params)


def assert_same(a, b):
    assert_array_equal(weights(a), weights(b))


@pytest.mark.parametrize("off", [0, 0.0, [0, 0], [0.0, 0.0, 0.0], ()])
def test_a_rate_of_zero_changes_nothing(off):
    sizes = (20, 10) if off != () else ()
    off = 0.3 if off == () else off  # without hidden layers there is nothing to leave out
    ours = classifier(hidden_layer_sizes=sizes, dropout=off).fit(X, Y)
    assert_same(ours, classifier(hidden_layer_sizes=sizes).fit(X, Y))


def test_one_rate_means_every_hidden_layer():
    one = classifier(dropout=0.3).fit(X, Y)
    assert_same(one, classifier(dropout=[0.3, 0.3]).fit(X, Y))
    assert_same(one, classifier(dropout=(0, 0.3, 0.3)).fit(X, Y))
    for other in ([0.3, 0.2], [0.1, 0.3, 0.3], 0.0):
        assert (classifier(dropout=other).fit(X, Y).coefs_[0] != one.coefs_[0]).any()


def test_prediction_leaves_nothing_out():
    est = classifier(dropout=0.5).fit(X, Y)
    hidden = np.maximum(0, X @ est.coefs_[0] + est.intercepts_[0])
    hidden = np.maximum(0, hidden @ est.coefs_[1] + est.intercepts_[1])
    raw = hidden @ est.coefs_[2] + est.intercepts_[2]
    p = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    assert_allclose(est.predict_proba(X), p)


def step(rates, spec, x, y, params, seed=0):
    """Masks, gradient and summed loss of one step."""
    ws = Workspace(spec.sizes, len(x), params.shape[:-1])
    Dropout(rates).draw(x, ws, [np.random.default_rng(seed)])
    terms = np.empty((*params.shape[:-1], *y.shape))
    grad = np.empty_like(params)
    views, grads = spec.layout.bind(params), spec.layout.bind(grad)
    forward(x, views, spec, ws)
    spec.loss.backward(ws.outputs[-1], y, terms, spec.output_activation, ws)
    backward(x, views, grads, spec, ws)
    return ws.masks, grad, 0.5 * terms.sum(axis=(-1, -2))


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_the_gradient_through_the_masks(activation):
    spec = NetworkSpec((5, 6, 4, 2), (activation,) * 2)
    rng = np.random.default_rng(0)
    params, y = rng.normal(size=spec.layout.n_parameters), rng.normal(size=(60, 2))
    _, grad, _ = step((0.2, 0.5, 0.3), spec, X, y, params)
    direction = rng.normal(size=params.shape)
    above, below = (
        step((0.2, 0.5, 0.3), spec, X, y, params + h * direction)[2] for h in (1e-6, -1e-6)
    )
    assert (above - below) / 2e-6 == pytest.approx(grad @ direction, rel=1e-5)


def test_masks_keep_the_mean_and_the_share():
    masks, _, _ = step((0.2, 0.75), NetworkSpec((50, 400, 1), (ACTIVATIONS["tanh"],)),
                       RNG.normal(size=(300, 50)), np.zeros((300, 1)), np.zeros(20801))  # fmt: skip
    for mask, rate in zip(masks.values(), (0.2, 0.75), strict=True):
        assert set(np.unique(mask)) == {0.0, 1 / (1 - rate)}
        assert mask.mean() == pytest.approx(1, abs=0.03)


def test_lockstep_draws_what_each_draws_alone():
    spec = NetworkSpec((5, 6, 2), (ACTIVATIONS["relu"],))
    rng = np.random.default_rng(0)
    params, y = rng.normal(size=(3, spec.layout.n_parameters)), rng.normal(size=(60, 2))
    rates = np.array([[0.1], [0.0], [0.6]])
    _, together, _ = step((rates / 2, rates), spec, X, y, params)
    for k, (rate,) in enumerate(rates):
        # Alone, a rate of 0 draws nothing: one too small to drop anything draws as the others do.
        rate = rate or 1e-30
        _, alone, _ = step((rate / 2, rate), spec, X, y, params[k])
        assert_allclose(together[k], alone, rtol=1e-10)


def test_the_same_masks_for_both_float_types():
    y = Z.astype(np.float32)
    single = BackpropRegressor(dropout=0.5, max_iter=3, random_state=0).fit(X.astype(np.float32), y)
    double = BackpropRegressor(dropout=0.5, max_iter=3, random_state=0).fit(X, Z)
    assert_allclose(single.coefs_[0], double.coefs_[0], atol=1e-4)


def test_sparse_rows_drop_their_entries():
    generator = np.random.default_rng(0)
    rows = SparseRows(sp.csr_matrix(np.ones((100, 50))))
    ws = Workspace((50, 3), 100)
    Dropout((0.4,)).draw(rows, ws, [generator])
    assert set(np.unique(rows.matrix.toarray())) == {0.0, 1 / 0.6}
    assert rows.matrix.mean() == pytest.approx(1, abs=0.05)
    sparse = np.where(X > 0, X, 0)
    fits = {
        (rate, container): classifier(dropout=[rate, 0.2, 0.2]).fit(container(sparse), Y)
        for rate in (0.0, 0.3)
        for container in (np.asarray, sp.csr_matrix)
    }
    # Units drop alike; entries that are zero draw no number, so that others drop.
    assert_allclose(weights(fits[0.0, sp.csr_matrix]), weights(fits[0.0, np.asarray]), atol=1e-12)
    est = fits[0.3, sp.csr_matrix]
    assert not np.allclose(weights(est), weights(fits[0.0, sp.csr_matrix]))
    assert_allclose(est.predict_proba(sp.csr_matrix(sparse)), est.predict_proba(sparse))


def test_partial_fit_in_chunks_equals_an_epoch_of_fit():
    params = {"dropout": 0.4, "batch_size": 20, "shuffle": False, "max_iter": 1}
    whole = classifier(**params).fit(X, Y)
    parts = classifier(**params)
    for start in range(0, 60, 20):
        rows = slice(start, start + 20)
        parts.partial_fit(X[rows], Y[rows], classes=[0, 1, 2])
        parts = pickle.loads(pickle.dumps(parts))
    assert_same(whole, parts)


def test_the_same_seed_gives_the_same_masks():
    assert_same(classifier(dropout=0.4).fit(X, Y), classifier(dropout=0.4).fit(X, Y))


def one_row_at_a_time():
    return BackpropRegressor(
        hidden_layer_sizes=(64,), activation="logistic", solver="sgd", momentum=0, alpha=0,
        learning_rate=0.1, random_state=0,
    )  # fmt: skip


def dropped_by(est, dropout=0.5):
    """Which hidden units a step of one row leaves out: those whose outgoing weights stay."""
    if hasattr(est, "coefs_"):
        before = est.coefs_[1].copy()
    else:  # a rate too small to move the weights
        before = clone(est).set_params(learning_rate=1e-300).partial_fit(X[:1], Z[:1]).coefs_[1]
    est.set_params(dropout=dropout).partial_fit(X[:1], Z[:1])
    return (est.coefs_[1] == before).ravel()


def expected(seed, n_steps):
    """Which of 64 units the steps leave out, if this seeds their masks."""
    return np.random.default_rng(seed).random((n_steps, 64), np.float32) < 0.5


def test_which_units_are_dropped():
    est = one_row_at_a_time()
    dropped = [dropped_by(est) for _ in range(3)]
    # The initial weights come first, then one of 2^31 seeds for the masks.
    rng = np.random.RandomState(0)
    rng.uniform(size=weights(est).size)
    assert_array_equal(dropped, expected(rng.randint(2**31), 3))
    whole = one_row_at_a_time().set_params(dropout=0.5, batch_size=1, shuffle=False, max_iter=3)
    assert_same(whole.fit(X[:1], Z[:1]), est)


def test_dropout_on_off_and_on_in_partial_fit():
    est = one_row_at_a_time()
    first = dropped_by(est)
    assert not dropped_by(est, dropout=0).any()
    # Without dropout the place in the masks is forgotten: on again, they begin with the first
    # seed of random_state, since there are no weights to draw before.
    again = [dropped_by(est), dropped_by(est)]
    assert_array_equal(again, expected(np.random.RandomState(0).randint(2**31), 2))
    assert (again[0] != first).any()


def test_dropout_keeps_a_large_net_from_learning_noise():
    rng = np.random.RandomState(0)
    x = rng.normal(size=(1200, 20))
    y = (x[:, 0] + x[:, 1] + rng.normal(size=1200) > 0).astype(int)
    losses = [
        log_loss(
            y[200:],
            BackpropClassifier((200,), dropout=rate, learning_rate=0.003, random_state=0)
            .fit(x[:200], y[:200])
            .predict_proba(x[200:]),
        )
        for rate in (0.0, 0.5, [0.2, 0.5])
    ]
    assert losses[0] > 1.2 * losses[1]
    assert losses[0] > 1.2 * losses[2]


def test_wrong_numbers_of_rates():
    with pytest.raises(ValueError, match=r"has 1 rates for 2 hidden layers: give one per hidden"):
        classifier(dropout=[0.5]).fit(X, Y)


def test_lbfgs_says_that_it_does_not_drop():
    with pytest.warns(UserWarning, match=r"dropout=0.5 is not used by solver='lbfgs'"):
        classifier(dropout=0.5, solver="lbfgs").fit(X, Y)


# Initial weights.

VARIANCE = {
    "glorot": lambda i, o: 2 / (i + o),
    "he": lambda i, o: 2 / i,
    "lecun": lambda i, o: 1 / i,
    "auto": lambda i, o: 2 / (i + o),
}


def initial(weight_init, **params):
    """The weights before any step."""
    params = {"hidden_layer_sizes": (150,), "learning_rate": 1e-300, "max_iter": 1} | params
    est = BackpropRegressor(weight_init=weight_init, random_state=0, **params)
    return est.fit(RNG.normal(size=(10, 100)), np.zeros(10))


@pytest.mark.parametrize("name", INITIALIZERS)
def test_the_spread_of_initial_weights(name):
    est = initial(name)
    w = est.coefs_[0]
    family, _, spread = name.partition("_")
    if name == "orthogonal":
        assert_allclose(w @ w.T, np.eye(100), atol=1e-12)
        assert_allclose(est.coefs_[1].T @ est.coefs_[1], np.eye(1), atol=1e-12)
    else:
        deviation = np.sqrt(VARIANCE[family](100, 150))
        assert w.std() == pytest.approx(deviation, rel=0.03)
        assert abs(w.mean()) < 0.03 * deviation
        extreme = np.abs(w).max() / deviation
        assert extreme > 3 if spread == "normal" else 1.7 < extreme <= np.sqrt(3)
    assert (np.abs(est.intercepts_[0]) < 1e-200).all() == (name != "auto")


def test_an_object_says_the_same_as_its_name():
    for a, b in zip(initial("he_normal").coefs_, initial(He("normal")).coefs_, strict=True):
        assert_allclose(a, b)
    assert_allclose(initial(Orthogonal(2.0)).coefs_[0], 2 * initial("orthogonal").coefs_[0])
    assert clone(classifier(weight_init=He("normal"))).weight_init == He("normal")
    with pytest.raises(ValueError, match=r"must be 'uniform' or 'normal'. Got 'gauss'"):
        He("gauss")
    with pytest.raises(ValueError, match="The gain of Orthogonal must be in the range"):
        Orthogonal(0)


def test_initial_weights_and_rates_in_a_grid():
    grid = {"weight_init": ["auto", He("normal"), "orthogonal"], "dropout": [0.0, 0.2, [0.1, 0.2]]}
    search = GridSearchCV(classifier(), grid, cv=2, scoring="neg_log_loss").fit(X, Y)
    assert len(search.cv_results_["params"]) == 9
    assert_candidates_score_as_alone(search, X, Y)
