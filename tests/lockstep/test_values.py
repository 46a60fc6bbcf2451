"""Which values count as the same: by what they hold, and in doubt by identity."""

from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
from sklearn.compose import make_column_selector
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from bpestimator import Adam, CustomActivation, Quantile
from bpestimator.lockstep import value_key
from bpestimator.lockstep.values import may_remember


class Scale:
    """Equal reprs, whatever it holds."""

    def __init__(self, factor):
        self.factor = factor

    def __repr__(self):
        return "Scale()"

    def __call__(self, z):
        return self.factor * z

    def method(self, z):
        return self.factor * z


class Slotted:
    __slots__ = ("factor",)

    def __init__(self, factor):
        self.factor = factor


@dataclass
class Hidden:
    shown: int = 1
    hidden: int = field(default=1, compare=False, repr=False)


LARGE = np.arange(10_000.0)
CHANGED = np.where(LARGE == 5_000, -1.0, LARGE)

SAME = {
    "numbers": (1.5, 1.5),
    "nan": (float("nan"), float("nan")),
    "lists": ([1, (2, "a")], [1, (2, "a")]),
    "dicts": ({"a": [1], "b": None}, {"b": None, "a": [1]}),
    "arrays": (LARGE, LARGE.copy()),
    "functions": (np.sin, np.sin),
    "objects of ours": (Adam(beta_1=0.5), Adam(beta_1=0.5)),
    "custom activations": (CustomActivation(np.sin, np.cos), CustomActivation(np.sin, np.cos)),
    "partials": (partial(np.add, LARGE), partial(np.add, LARGE.copy())),
    "objects": (Scale(2.0), Scale(2.0)),
    "transformers": (FunctionTransformer(np.log1p), FunctionTransformer(np.log1p)),
    "selectors": (make_column_selector("a"), make_column_selector("a")),
    "pipelines": (make_pipeline(StandardScaler()), make_pipeline(StandardScaler())),
}
DIFFERENT = {
    "types of numbers": (1, 1.0),
    "flags and numbers": (True, 1),
    "types of lists": ([1], (1,)),
    "arrays of equal reprs": (LARGE, CHANGED),
    "types of arrays": (LARGE, LARGE.astype(np.float32)),
    "shapes": (LARGE, LARGE[:, None]),
    "objects of equal reprs": (Scale(2.0), Scale(3.0)),
    "bound methods": (Scale(2.0).method, Scale(3.0).method),
    "partials of equal reprs": (partial(np.add, LARGE), partial(np.add, CHANGED)),
    "custom activations": (
        CustomActivation(Scale(2.0), Scale(3.0)),
        CustomActivation(Scale(2.0), Scale(4.0)),
    ),
    "lambdas": ((lambda z: z), (lambda z: z)),
    "hidden fields": (Hidden(), Hidden(hidden=2)),
    "nobody can tell": (Slotted(1.0), Slotted(1.0)),
    "generators of random numbers": (np.random.RandomState(0), np.random.RandomState(0)),
    "levels": (Quantile([0.1, 0.9]), Quantile([0.1, 0.8])),
    "transformers": (StandardScaler(), StandardScaler(with_mean=False)),
}


@pytest.mark.parametrize("pair", SAME.values(), ids=SAME)
def test_same(pair):
    one, other = map(value_key, pair)
    assert one == other
    assert hash(one) == hash(other)


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_different(pair):
    assert value_key(pair[0]) != value_key(pair[1])


@pytest.mark.parametrize("name", [*SAME, "lambdas"])
def test_a_copy_is_the_same(name):
    value = {**SAME, **DIFFERENT}[name][0]
    assert value_key(value) == value_key(deepcopy(value))


def test_what_holds_itself_has_a_key():
    circle: list = []
    circle.append(circle)
    assert value_key(circle) == value_key(circle)


def test_which_functions_may_remember_earlier_calls():
    assert may_remember(CustomActivation(Scale(1.0), np.cos))
    assert may_remember(Scale(1.0).method)
    assert may_remember(partial(Scale(1.0)))
    assert not may_remember(CustomActivation(np.sin, np.cos))
    assert not may_remember(partial(np.add, 1.0))
    assert not may_remember([Adam(), "relu", lambda z: z])
