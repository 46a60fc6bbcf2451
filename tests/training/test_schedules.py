"""Schedules: their formulas, their warm-up, their ranges."""

import pickle
from math import cos, log2, pi

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bpestimator import BackpropClassifier
from bpestimator.training import (
    SCHEDULES,
    Adaptive,
    Clock,
    Constant,
    Cosine,
    CosLog4,
    Exponential,
    InvScaling,
    OneCycle,
)

EPOCHS = 15


def test_cosine():
    rates = Cosine(final=0.2).rates(0.5, EPOCHS)
    expected = [0.5 * (0.2 + 0.8 * (1 + cos(pi * e / EPOCHS)) / 2) for e in range(EPOCHS)]
    assert_allclose(rates, expected)


def test_coslog4_has_four_cycles_each_twice_as_long():
    rates = CosLog4().rates(2.0, EPOCHS, steps=4)
    t = np.arange(60) / 60
    assert_allclose(rates, 1 - np.cos(2 * pi * np.log2(1 + 15 * t)), atol=1e-12)
    assert_allclose(rates[[0, 4, 12, 28]], 0, atol=1e-12)
    peaks = [2**k - 1 for k in (0.5, 1.5, 2.5, 3.5)]
    assert_allclose([CosLog4().rate(2.0, Clock(p, 0, 1, 15)) for p in peaks], 2.0)
    assert log2(1 + 15) == 4


def test_one_cycle_rises_to_its_peak_and_falls():
    rates = OneCycle(peak=0.4, start=0.1, final=0.05).rates(3.0, 10, steps=10)
    assert rates[0] == pytest.approx(0.3)
    assert rates.argmax() == 40
    assert rates[40] == pytest.approx(3.0)
    assert (np.diff(rates[:41]) > 0).all()
    assert (np.diff(rates[40:]) < 0).all()
    assert rates[-1] == pytest.approx(0.15, rel=0.05)
    assert rates[20] == pytest.approx((0.3 + 3.0) / 2)


def test_exponential():
    assert_allclose(Exponential(0.9).rates(1.0, 5), 0.9 ** np.arange(5))
    assert_allclose(Exponential(0.9).rates(1.0, 2, steps=2), 0.9 ** np.array([0, 0.5, 1, 1.5]))


@pytest.mark.parametrize("kind", [Cosine, CosLog4, Exponential, OneCycle])
def test_warm_up_rises_in_a_line_and_the_curve_takes_the_rest(kind):
    warm = kind(warmup=5).rates(2.0, EPOCHS, steps=2)
    assert_allclose(warm[:10], 2.0 * np.arange(1, 11) / 10)
    assert_allclose(warm[10:], kind().rates(2.0, EPOCHS - 5, steps=2))


def test_epochs_and_steps():
    assert_allclose(Constant().rates(0.1, 3, steps=2), 0.1)
    assert_allclose(Adaptive().rates(0.1, 3), 0.1)
    assert_allclose(InvScaling().rates(0.1, 3), [0.1] * 3)  # it counts rows, of which none is seen
    for kind in SCHEDULES.values():
        assert kind().rates(1.0, 4, steps=3).shape == (12,)
        many = kind().rate(np.array([[1.0], [2.0]]), Clock(1.5, 7, 0.5, 8))
        assert_allclose(many[1], 2 * many[0])


def test_invscaling_counts_rows():
    assert_allclose(
        InvScaling().rates(0.1, 3, 2, rows=99), np.repeat(0.1 / np.sqrt([1, 100, 199]), 2)
    )


def test_a_warm_up_must_end():
    with pytest.raises(ValueError, match=r"warmup of Cosine\(warmup=5, .* must be shorter than"):
        Cosine(warmup=5).rates(1.0, 5)


@pytest.mark.parametrize(
    ("kind", "params", "rule"),
    [
        (Exponential, {"decay": 0.0}, r"decay of Exponential must be in the range \(0, 1\]"),
        (Exponential, {"decay": 1.1}, r"decay of Exponential must be in the range \(0, 1\]"),
        (Cosine, {"final": -0.1}, r"final of Cosine must be in the range \[0, 1\]"),
        (OneCycle, {"peak": 1.0}, r"peak of OneCycle must be in the range \(0, 1\)"),
        (OneCycle, {"start": 2.0}, r"start of OneCycle must be in the range \[0, 1\]"),
        (InvScaling, {"power_t": -1}, r"power_t of InvScaling must be in the range \[0, inf\)"),
        (CosLog4, {"warmup": -1}, r"warmup of CosLog4 must be in the range \[0, inf\)"),
    ],
)
def test_numbers_out_of_range(kind, params, rule):
    with pytest.raises(ValueError, match=rule):
        kind(**params)


def test_objects_compare_print_and_pickle():
    assert OneCycle(0.2) == OneCycle(peak=0.2) != OneCycle()
    assert repr(Exponential(0.9, warmup=2)) == "Exponential(warmup=2, decay=0.9)"
    for kind in SCHEDULES.values():
        assert pickle.loads(pickle.dumps(kind())) == kind()


@pytest.mark.parametrize("kind", SCHEDULES.values(), ids=SCHEDULES)
def test_fields_that_the_estimators_parameters_set(kind):
    defaults = BackpropClassifier().get_params()
    chosen = {field: defaults[name] for name, field in kind.from_parameters.items()}
    assert kind(**chosen) == kind()
    assert set(chosen) == ({"power_t"} if kind is InvScaling else set())


@pytest.mark.parametrize("kind", SCHEDULES.values(), ids=SCHEDULES)
def test_rates_that_depend_on_the_rows_seen(kind):
    few, many = (kind().rate(1.0, Clock(3, rows, 1, 8)) for rows in (10, 1000))
    assert (few > many) == kind.decays_with_samples
