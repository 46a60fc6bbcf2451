"""scikit-learn's own tests of its MLP, read from the installed package, with our classes."""

import importlib.util
from math import prod

import pytest
import sklearn
import sklearn.neural_network

from bpestimator import BackpropClassifier, BackpropRegressor

# scikit-learn does not run them with warnings as errors.
pytestmark = pytest.mark.filterwarnings("ignore")

# They read private attributes of MLPClassifier.
LEFT_OUT = {
    "test_gradient",
    "test_learning_rate_warmstart",
    "test_adaptive_learning_rate",
    "test_n_iter_no_change",
    "test_n_iter_no_change_inf",
}
# (all, ours to pass), with every parametrisation counted
COUNTS = {"1.9": (59, 54), "1.7": (58, 53)}


def load_tests_of_mlp():
    """Their test functions, by name, compiled anew with our classes under MLP's names."""
    found = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
    spec = importlib.util.spec_from_file_location("sklearn_tests_of_backprop", found.origin)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sklearn.neural_network, "MLPClassifier", BackpropClassifier)
        patch.setattr(sklearn.neural_network, "MLPRegressor", BackpropRegressor)
        spec.loader.exec_module(module)
    assert module.MLPClassifier is BackpropClassifier
    assert module.MLPRegressor is BackpropRegressor
    return {name: value for name, value in vars(module).items() if name.startswith("test_")}


def count(functions):
    marks = [getattr(function, "pytestmark", []) for function in functions]
    return sum(prod(len(m.args[1]) for m in row if m.name == "parametrize") for row in marks)


TESTS = load_tests_of_mlp()
KEPT = {name: function for name, function in TESTS.items() if name not in LEFT_OUT}
globals().update(KEPT)


@pytest.fixture
def global_random_seed():
    return 42


def test_none_has_disappeared():
    assert set(TESTS) >= LEFT_OUT
    expected = COUNTS.get(sklearn.__version__.rpartition(".")[0])
    assert expected in (None, (count(TESTS.values()), count(KEPT.values())))
