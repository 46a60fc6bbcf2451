"""The range test: it takes what fit takes, and knows an explosion when it sees one."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import DataConversionWarning

from bpestimator import BackpropClassifier, BackpropRegressor, CustomLoss, LearningRateDisplay
from bpestimator.inspection import _range_test

X, Y = load_iris(return_X_y=True)
ROWS, LABELS = make_multilabel_classification(60, random_state=0)
CLF = BackpropClassifier(random_state=0)


def run(net, *data, **options):
    return LearningRateDisplay.from_estimator(net, *data, plot=False, **options)


def assert_same(one, other):
    assert_array_equal(one.values, other.values)
    assert one.interval == other.interval
    assert one.recommended == other.recommended
    assert one.diverged_from == other.diverged_from


# Weights


@pytest.mark.parametrize("batch_size", [1, 4, "auto"])
@pytest.mark.parametrize("by", ["row", "class"])
def test_rows_of_weight_zero_have_no_part(batch_size, by):
    counts = Y > 0  # two classes of three
    net = BackpropClassifier(random_state=0, batch_size=batch_size)
    if by == "row":
        # Another row of the first class counts, so that there are as many classes.
        counts[0] = True
        weighted = run(net, X, Y, sample_weight=counts.astype(float))
        assert_same(weighted, run(net, X[counts], Y[counts]))
    else:
        weighted = run(net.set_params(class_weight={0: 0, 1: 1, 2: 1}), X, Y)
        assert_same(weighted, run(net.set_params(class_weight=None), X, Y, sample_weight=counts))
    assert weighted.rates.size > 60


@pytest.mark.parametrize(
    ("net", "weight", "match"),
    [
        (CLF, np.zeros(150), "at least one non-zero"),
        (BackpropClassifier(class_weight={0: 0, 1: 0, 2: 0}), None, "Every row has weight 0"),
    ],
)
def test_some_row_must_count(net, weight, match):
    with pytest.raises(ValueError, match=match):
        run(net, X, Y, sample_weight=weight)


# What fit takes


@pytest.mark.parametrize(
    ("data", "same"),
    [
        ((ROWS, sp.csr_matrix(LABELS)), (ROWS, LABELS)),
        ((ROWS, sp.csc_array(LABELS)), (ROWS, LABELS)),
        ((sp.csc_matrix(X), Y), (sp.csr_matrix(X), Y)),
        ((X.tolist(), Y.tolist()), (X, Y)),
        ((pd.DataFrame(X, columns=list("abcd")), pd.Series(Y, index=Y[::-1])), (X, Y)),
        ((X, np.array(["a", "b", "c"], dtype=object)[Y]), (X, Y)),
    ],
    ids=["sparse labels", "csc labels", "csc", "lists", "frame", "strings"],
)
def test_takes_data_as_fit_does(data, same):
    assert_same(run(CLF, *data), run(CLF, *same))


def test_a_number_as_weight_counts_for_all_rows():
    assert_same(run(CLF, X, Y, sample_weight=2.0), run(CLF, X, Y, sample_weight=np.full(150, 2.0)))


def test_a_column_as_y_is_warned_of():
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        column = run(CLF, X, Y[:, None])
    assert_same(column, run(CLF, X, Y))


@pytest.mark.parametrize(
    ("params", "data", "options"),
    [
        ({}, (X, Y[:-1]), {}),
        ({}, (X, Y), {"sample_weight": np.ones(149)}),
        ({}, (X, Y), {"sample_weight": np.ones((150, 1))}),
        ({}, (X * np.nan, Y), {}),
        ({}, (X, Y + 0.5), {}),
        ({"batch_size": "x"}, (X, Y), {}),
        ({"batch_size": 0}, (X, Y), {}),
        ({"class_weight": "foo"}, (X, Y), {}),
        ({"class_weight": {5: 1}}, (X, Y), {}),
        ({"learning_rate": "cosinus"}, (X, Y), {}),
        ({"random_state": "x"}, (X, Y), {}),
    ],
    ids=lambda value: repr(value) if isinstance(value, dict) else "",
)
def test_refuses_what_fit_refuses_in_its_words(params, data, options):
    net = BackpropClassifier(**params)
    with pytest.raises(ValueError, match=r".+") as of_fit:
        net.fit(*data, **options)
    with pytest.raises(type(of_fit.value)) as of_test:
        run(net, *data, **options)
    assert str(of_test.value) == str(of_fit.value)


def test_global_random_numbers_are_spent_on_steps_alone():
    net = BackpropClassifier(hidden_layer_sizes=5)
    np.random.seed(0)  # noqa: NPY002
    display = run(net, X, Y)
    generator = np.random.RandomState(0)
    assert_same(display, run(net.set_params(random_state=generator), X, Y))


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"high": np.inf}, ValueError, "to a finite value"),
        ({"low": np.nan}, ValueError, "rise from above 0"),
        ({"low": 0}, ValueError, "rise from above 0"),
        ({"low": "a"}, TypeError, "low must be an instance of"),
        ({"high": None}, TypeError, "high must be an instance of"),
        ({"n_steps": 20.5}, TypeError, "n_steps must be an instance of int"),
        ({"n_steps": "a"}, TypeError, "n_steps must be an instance of int"),
    ],
)
def test_rates_that_make_no_axis_are_refused(options, error, match):
    with pytest.raises(error, match=match):
        run(CLF, X, Y, **options)


# What is read from the curve


def range_test_of(smoothed):
    """A range test that meets these smoothed losses, at rates of 1e-5, 10**-4.5, 1e-4, ...

    The network is a single bias, from which each step subtracts the rate: its place tells how
    many steps there have been, and so how large the loss is to be.
    """
    k = np.arange(1, len(smoothed) + 1)
    weighed = np.array(smoothed) * (1 - 0.9**k)
    losses = (weighed - 0.9 * np.append(0, weighed[:-1])) / 0.1
    rates = 10 ** (-5 + 0.5 * (k - 1))
    places = np.append(0, rates[:-1].cumsum())

    def planned(y, p):
        return losses[np.abs(places + p[..., None]).argmin(axis=-1)]

    loss = CustomLoss(planned, lambda y, p: np.ones_like(p))
    net = BackpropRegressor(
        loss, (), solver="sgd", momentum=0, alpha=0, weight_init="he_normal", random_state=0
    )
    rows = np.zeros((20, 1)), np.zeros(20)
    return run(net, *rows, low=rates[0], high=rates[-1], n_steps=k.size)


VALLEY = [10, 9, 9.8, 10.2, 9, 8, 6, 4, 2, 1, 0.5, 1.5, 3]


def test_low_high_and_recommended_of_a_valley():
    display = range_test_of(VALLEY)
    np.testing.assert_allclose(display.values, VALLEY)
    assert display.diverged_from is None
    # The fall is of 9.5: a tenth of it has happened for good from the fifth rate on, 1e-3; the
    # lowest loss is at the rate of 1. The longest descent is 10, 9.8, 9, 8, 6, 4, 2, 1, 0.5, and
    # half-way down it is 8, at 10**-2.5.
    np.testing.assert_allclose(display.interval, (1e-3, 1 / 3), rtol=1e-12)
    assert display.recommended == pytest.approx(np.sqrt(10**-2.5 * 0.1), rel=1e-12)


def test_a_valley_that_ends_in_an_explosion():
    display = range_test_of([*VALLEY, 80, 0, 0])
    calm = range_test_of(VALLEY)
    assert display.diverged_from == pytest.approx(10**1.5, rel=1e-12)
    np.testing.assert_allclose(display.values, [*VALLEY, 80])
    np.testing.assert_allclose(display.interval, calm.interval)
    assert display.recommended == pytest.approx(calm.recommended)


def test_recommended_is_safe():
    # The valley begins late and ends at once: a tenth of its lowest rate comes before it.
    display = range_test_of([*np.linspace(10, 10.1, 10), 5, 4, 9])
    np.testing.assert_allclose(display.interval, (1, 10**0.5 / 3), rtol=1e-12)
    assert display.recommended == pytest.approx(1, rel=1e-12)


# Explosions


def squares(constant):
    return CustomLoss(lambda y, p: (p - y) ** 2 / 2 + constant, lambda y, p: p - y)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("constant", [-1e5, -0.5, 0, 1e3])
def test_a_constant_added_to_the_loss_changes_nothing(solver, constant):
    rows, y = load_diabetes(return_X_y=True)
    y = y / 100  # no loss is above 6
    named, own = (
        run(BackpropRegressor(loss, solver=solver, random_state=0), rows, y)
        for loss in ("squared_error", squares(constant))
    )
    assert own.recommended == named.recommended
    assert own.interval == named.interval
    assert own.diverged_from is not None
    steps = min(own.rates.size, named.rates.size)
    np.testing.assert_allclose(own.values[:steps] - constant, named.values[:steps], rtol=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_losses_that_differ_from_batch_to_batch_are_no_explosion(seed):
    rows, y = load_diabetes(return_X_y=True)
    net = BackpropRegressor(squares(-100), batch_size=4, random_state=seed)
    assert run(net, rows, y / 100).rates.size > 70


def test_a_flat_loss_has_not_diverged_by_rounding():
    flat = [1.0 / 3] * 30
    assert not _range_test._has_diverged([*flat, flat[0] * (1 + 1e-15)], has_zero=False)
    assert _range_test._has_diverged([*flat, 2.0], has_zero=False)
