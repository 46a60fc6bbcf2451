"""Stacking: hyperparameters of several models as one."""

import pytest
from numpy.testing import assert_array_equal

from bpestimator import Adam, NAdam
from bpestimator.training import L2, Dropout, stacked


def test_numbers_that_differ_become_arrays():
    assert stacked([0.5, 0.5]) == 0.5
    assert_array_equal(stacked([0.5, 0.25]), [[0.5], [0.25]])
    both = stacked([(L2(0.1), Adam()), (L2(0.2), Adam(beta_2=0.9))])
    assert_array_equal(both[0].alpha, [[0.1], [0.2]])
    assert both[1].beta_1 == 0.9
    assert_array_equal(both[1].beta_2, [[0.999], [0.9]])
    assert_array_equal(stacked([Dropout((0.0, 0.1)), Dropout((0.0, 0.2))]).rates[1], [[0.1], [0.2]])


@pytest.mark.parametrize("pair", [[Adam(), NAdam()], [True, False], ["a", "b"]], ids=str)
def test_nothing_else_may_differ(pair):
    with pytest.raises(ValueError, match="cannot differ"):
        stacked(pair)
