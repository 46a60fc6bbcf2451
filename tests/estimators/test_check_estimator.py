"""Promise 2: scikit-learn's checks of estimators, in every kind of setting."""

from unittest import SkipTest

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from bpestimator import AdamW, BackpropClassifier, BackpropRegressor, LeakyReLU, Quantile

pytestmark = pytest.mark.filterwarnings("ignore")


def repeated_rows(reason):
    """Weights of whole numbers and as many repetitions of a row should agree, but do not."""
    return {
        f"check_sample_weight_equivalence_on_{kind}_data": (AssertionError, f"{reason} ({kind} X)")
        for kind in ("dense", "sparse")
    }


def heavy_class(reason):
    """Weights of 1000 to 0.0001 in noise should let one class win, but do not."""
    return {"check_class_weight_classifiers": (AssertionError, reason)}


REFUSED = "with early_stopping partial_fit is a ValueError, as in scikit-learn; the check"
# name -> (params, check that fails -> (error, why)); weights and repetitions agree where a batch is
# all rows
SETTINGS = {
    "default": ({}, {}),
    "number": ({"learning_rate": 0.01, "activation": "tanh"}, {}),
    "sgd": ({"solver": "sgd", "learning_rate": "adaptive"}, {}),
    "invscaling": (
        {"learning_rate": "invscaling", "power_t": 0.1},
        repeated_rows("the rate falls with the rows seen, of which repetitions make more"),
    ),
    "lbfgs": ({"solver": "lbfgs", "activation": "logistic"}, {}),
    "linear": ({"solver": "lbfgs", "hidden_layer_sizes": ()}, {}),
    "modern": ({"activation": "gelu", "solver": AdamW(), "max_grad_norm": 1.0}, {}),
    "mixed": ({"activation": ["mish", LeakyReLU()], "hidden_layer_sizes": (20, 10)}, {}),
    "dropout": (
        {"dropout": 0.1, "weight_init": "he_normal", "diagnostics": True, "learning_rate": 0.01},
        repeated_rows("every row drops units of its own, and so does each of its repetitions"),
    ),
    "batches": (
        {"batch_size": 7, "learning_rate_init": 0.01, "max_iter": 30},
        repeated_rows("seven of the repeated rows are not seven of the weighted ones")
        | heavy_class("a batch without the heavy class counts as much as one that has it"),
    ),
    "stopping": (
        {"early_stopping": True, "validation_fraction": 0.3},
        repeated_rows("the rows held out are others where some are repeated")
        | heavy_class("which epoch is the best is a matter of luck with 15 rows held out")
        | {
            "check_fit_score_takes_y": (ValueError, f"{REFUSED} calls every method that takes y"),
            "check_n_features_in_after_fitting": (
                ValueError,
                f"{REFUSED} asks it, too, for n_features_in_",
            ),
            "check_estimators_partial_fit_n_features": (
                ValueError,
                f"{REFUSED} calls it a first time without expecting an error",
            ),
        },
    ),
}


OF_ONE_KIND = {
    BackpropClassifier: {
        "focal": ({"loss": "focal", "label_smoothing": 0.1}, {}),
        "brier": ({"loss": "squared_error", "weight_init": "orthogonal"}, {}),
    },
    BackpropRegressor: {
        "huber": ({"loss": "huber"}, {}),
        "log_cosh": ({"loss": "log_cosh"}, {}),
        "softplus": (
            {"output_activation": "softplus"},
            {
                "check_regressors_train": (
                    AssertionError,
                    "half of its scaled targets are negative, out of softplus's reach",
                )
            },
        ),
        "median": ({"loss": "absolute_error"}, {}),
        "quantile": ({"loss": Quantile(0.3)}, {}),
    },
}


def checks():
    for kind in (BackpropClassifier, BackpropRegressor):
        for name, (params, failing) in (SETTINGS | OF_ONE_KIND[kind]).items():
            for estimator, check in estimator_checks_generator(kind(**{"max_iter": 100, **params})):
                error, reason = failing.get(check.func.__name__, (None, ""))
                marks = pytest.mark.xfail(reason=reason, raises=error, strict=True) if error else ()
                label = f"{kind.__name__} {name} {check.func.__name__}"
                yield pytest.param(estimator, check, marks=marks, id=label)


@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_check_estimator(estimator, check):
    try:
        check(estimator)
    except SkipTest as skipped:
        pytest.skip(str(skipped))
