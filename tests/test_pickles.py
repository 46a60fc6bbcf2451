"""What an earlier release pickled loads, and goes on; see ``pickles/make.py``."""

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier, MLPRegressor

import bpestimator
from bpestimator import (
    Activation,
    BackpropClassifier,
    BackpropRegressor,
    CustomLoss,
    Focal,
    Initializer,
    LogLoss,
    Loss,
    Optimizer,
    Schedule,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning"),
]

FOLDERS = [path.parent for path in sorted(Path(__file__).parent.glob("pickles/*/about.json"))]
ABOUT = {folder: json.loads((folder / "about.json").read_text()) for folder in FOLDERS}
MODELS = [
    pytest.param(folder, name, id=f"{folder.name} {name}")
    for folder, about in ABOUT.items()
    for name in about["goes_on"]
]
PARAMETERS = {
    Activation: "activation",
    Initializer: "weight_init",
    Loss: "loss",
    Optimizer: "solver",
    Schedule: "learning_rate",
}
# Models whose parameters have their defaults, but for those that scikit-learn's MLP has as well.
PLAIN = {"classifier": MLPClassifier, "regressor": MLPRegressor}
BEYOND_MLP = [
    pytest.param(folder, name, parameter, id=f"{folder.name} {name} {parameter}")
    for folder in FOLDERS
    for name, ours in (("classifier", BackpropClassifier), ("regressor", BackpropRegressor))
    for parameter in sorted(ours().get_params().keys() - PLAIN[name]().get_params().keys())
]


class Unpickler(pickle.Unpickler):
    """Lets NumPy 1 load the arrays that NumPy 2 pickled."""

    def find_class(self, module, name):
        if np.lib.NumpyVersion(np.__version__) < "2.0.0":
            module = module.replace("numpy._core", "numpy.core")
        return super().find_class(module, name)


def loaded(folder, name):
    with (folder / f"{name}.pkl").open("rb") as file:
        return Unpickler(file).load()


def expected_of(folder, name):
    with np.load(folder / f"{name}.npz") as arrays:
        return dict(arrays)


def skip_if_not_ours(folder, name):
    """scikit-learn's own classes need not load what another version of it pickled."""
    pickled_with = ABOUT[folder]["versions"]["scikit-learn"]
    of_another = pickled_with.split(".")[:2] != sklearn.__version__.split(".")[:2]
    if ABOUT[folder]["goes_on"][name] == "clone" and of_another:
        pytest.skip(f"pickled with scikit-learn {pickled_with}")


def assert_close(actual, expected):
    """Equal up to what another machine's kernels change in the last bits."""
    if not np.issubdtype(expected.dtype, np.floating):
        assert_array_equal(actual, expected)
        return
    is_single = expected.dtype == np.float32
    assert actual.dtype == expected.dtype
    assert_allclose(actual, expected, rtol=1e-4 if is_single else 1e-9, atol=1e-12)


def assert_predicts(model, expected, prefix=""):
    for method in ("predict", "predict_proba"):
        if prefix + method in expected:
            assert_close(getattr(model, method)(expected["X"]), expected[prefix + method])


def gone_on(model, X, y, how):
    if how == "clone":
        return clone(model).fit(X, y)
    if how == "warm_fit":
        return model.set_params(warm_start=True).fit(X, y)
    return model.partial_fit(X, y)


def assert_works(model, folder, name):
    """It prints, clones, predicts the same, and goes on as it did in the release."""
    expected = expected_of(folder, name)
    assert type(model).__name__ in repr(model)
    assert repr(clone(model)) == repr(model)
    assert_predicts(model, expected)
    further = gone_on(model, expected["X"], expected["y"], ABOUT[folder]["goes_on"][name])
    assert_predicts(further, expected, "further_")
    kept = [value for key, value in expected.items() if key.startswith("weights_")]
    if kept:
        for actual, array in zip([*further.coefs_, *further.intercepts_], kept, strict=True):
            assert_close(actual, array)


def new(one):
    """What its ``repr`` makes: an object of the present version."""
    names = {**vars(bpestimator), "np": np}
    return eval(re.sub(r"<ufunc '(\w+)'>", r"np.\1", repr(one)), names)


def test_there_are_pickles():
    assert "0.1.0" in {folder.name for folder in FOLDERS}
    assert BEYOND_MLP


@pytest.mark.parametrize(("folder", "name"), MODELS)
def test_a_model_goes_on(folder, name):
    skip_if_not_ours(folder, name)
    assert_works(loaded(folder, name), folder, name)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_parameter_objects(folder):
    objects = loaded(folder, "parameter_objects")
    assert [repr(one) for one in objects] == ABOUT[folder]["parameter_objects"]
    for one in objects:
        assert type(one) is getattr(bpestimator, type(one).__name__)
        assert clone(one, safe=False) == one
        assert pickle.loads(pickle.dumps(one)) == one
        assert new(one) == one


def fitted_with(parameter, value, X, y):
    """An estimator that holds the object: the one that takes it."""
    takes_classes = isinstance(value, (Focal, LogLoss))
    kind = BackpropClassifier if takes_classes else BackpropRegressor
    params = {"hidden_layer_sizes": (3,), "max_iter": 8, "random_state": 0, parameter: value}
    return kind(**params).fit(X, y > np.median(y) if takes_classes else y)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@pytest.mark.parametrize(("kind", "parameter"), PARAMETERS.items())
def test_parameter_objects_do_what_new_ones_do(folder, kind, parameter):
    expected = expected_of(folder, "regressor")
    X, y = expected["X"], expected["y"] ** 2 + 0.1  # for losses of positive numbers
    for one in loaded(folder, "parameter_objects"):
        if isinstance(one, kind) and not isinstance(one, CustomLoss):
            olds, news = (fitted_with(parameter, value, X, y).coefs_ for value in (one, new(one)))
            assert all(map(np.array_equal, olds, news)), one


@pytest.mark.parametrize(("folder", "name", "parameter"), BEYOND_MLP)
def test_a_pickle_may_lack_a_parameter(folder, name, parameter):
    """One added after the release, for instance: it has its default."""
    model = loaded(folder, name)
    state = model.__getstate__()
    state.pop(parameter, None)
    bare = type(model).__new__(type(model))
    bare.__setstate__(state)
    assert getattr(bare, parameter) == getattr(type(model)(), parameter)
    assert_works(bare, folder, name)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("name", PLAIN)
def test_a_pickle_may_lack_all_that_mlp_lacks(folder, name):
    model = loaded(folder, name)
    for parameter in model.get_params().keys() - PLAIN[name]().get_params().keys():
        vars(model).pop(parameter, None)
    assert_works(pickle.loads(pickle.dumps(model)), folder, name)
