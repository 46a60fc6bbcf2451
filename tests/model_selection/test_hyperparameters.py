"""The searches in lockstep score as scikit-learn's do: whatever the candidates differ in."""

import numpy as np
import pytest

from bpestimator import AdamW, Cosine, Huber, Quantile

from data import RATES, cancer, clf, diabetes, iris, reg, search_both

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# name: data, estimator, grid, what else the search takes; why some fits go alone, and how many
ROWS = {
    "rates": (iris, clf(), {"learning_rate": RATES}, {}),
    "initial rates, small batches": (
        iris,
        clf(batch_size=7),
        {"learning_rate_init": RATES},
        {"cv": 3},
    ),
    "early stopping": (
        cancer,
        clf(early_stopping=True, n_iter_no_change=2, max_iter=60),
        {"learning_rate": RATES},
        {},
    ),
    "stops by tol": (
        iris,
        clf(tol=1e-2, n_iter_no_change=2, max_iter=80),
        {"learning_rate": RATES},
        {},
    ),
    "adaptive": (
        iris,
        clf(learning_rate="adaptive", solver="sgd", tol=0.05, n_iter_no_change=1),
        {"learning_rate_init": RATES},
        {},
    ),
    "invscaling": (
        iris,
        clf(learning_rate="invscaling"),
        {"power_t": [0.1, 0.5, 0.25], "learning_rate_init": [0.01, 0.1]},
        {},
    ),
    "schedules": (
        iris,
        clf(),
        {"learning_rate": ["cosine", Cosine(warmup=2), "coslog4"], "learning_rate_init": RATES},
        {"cv": 2},
    ),
    "dropout": (
        cancer,
        clf(),
        {"dropout": [0.0, 0.1, 0.3, [0.2, 0.5]], "learning_rate": RATES[1:4]},
        {"cv": 3},
    ),
    "gradients clipped": (
        cancer,
        clf(),
        {"max_grad_norm": [None, 0.1, 0.01, 1], "alpha": [0, 1]},
        {"cv": 2},
    ),
    "momenta": (
        iris,
        clf(solver="sgd", learning_rate=0.1),
        {"momentum": [0.0, 0.5, 0.9], "nesterovs_momentum": [True, False]},
        {"cv": 2},
    ),
    "Adam's numbers": (
        iris,
        clf(learning_rate=0.01),
        {"beta_1": [0.5, 0.9], "beta_2": [0.9, 0.999], "epsilon": [1e-8, 0.1]},
        {"cv": 2},
    ),
    "solver objects": (
        iris,
        clf(learning_rate_init=0.01),
        {"solver": [AdamW(weight_decay=w) for w in (0.0, 0.1, 1.0)] + ["nadam", "lbfgs", "sgd"]},
        {"cv": 2},
        {"nadam": 2, "lbfgs": 2, "sgd": 2},  # two folds of each are too few
    ),
    "class weights": (
        cancer,
        clf(class_weight="balanced"),
        {"learning_rate": RATES, "class_weight": [None, "balanced", {0: 3, 1: 1}]},
        {"cv": 2},
    ),
    "label smoothing": (
        iris,
        clf(),
        {"label_smoothing": [0.0, 0.1], "learning_rate": RATES[:3]},
        {"cv": 2},
    ),
    "label smoothing alone": (
        iris,
        clf(),
        {"label_smoothing": [0.3, 0.0, 0.1, 0.2]},
        {"cv": 4},
    ),
    "label smoothing, two classes, early stopping": (
        cancer,
        clf(early_stopping=True, n_iter_no_change=2),
        {"learning_rate": RATES[1:4], "label_smoothing": [0.0, 0.1, 0.2]},
        {"cv": 2},
    ),
    "architectures": (
        iris,
        clf(),
        {
            "hidden_layer_sizes": [(5,), (6, 4), ()],
            "activation": ["relu", "tanh"],
            "learning_rate": RATES[1:4],
        },
        {"cv": 2},
    ),
    "several seeds": (
        iris,
        clf(),
        {"random_state": [0, 1, 2], "learning_rate": RATES[:3]},
        {"cv": 2},
    ),
    "seeds, class weights, early stopping": (
        cancer,
        clf(class_weight="balanced", early_stopping=True, n_iter_no_change=2),
        {"random_state": [0, np.int64(5)], "learning_rate": RATES[1:4]},
        {"cv": 3},
    ),
    "seeds, dropout": (
        diabetes,
        reg(dropout=[0.1, 0.5]),
        {"random_state": [0, 1, 2], "dropout": [0.2, 0.4]},
        {"cv": 3},
    ),
    "one candidate of each kind": (
        cancer,
        clf(),
        {"hidden_layer_sizes": [(), (3,), (6, 2), (20, 10)]},
        {"cv": 4},
    ),
    "batch sizes, epochs": (
        iris,
        clf(),
        {"batch_size": [10, 50], "max_iter": [3, 9], "learning_rate": RATES[1:4]},
        {"cv": 2},
    ),
    "losses": (
        diabetes,
        reg(),
        {"loss": ["squared_error", Huber(0.5), "absolute_error"], "learning_rate": RATES[:3]},
        {"cv": 2, "scoring": "neg_mean_absolute_error"},
    ),
    "quantile": (
        diabetes,
        reg(loss=Quantile(0.9)),
        {"learning_rate": RATES},
        {"scoring": "neg_mean_absolute_error"},
    ),
    "early stopping of a regression": (
        diabetes,
        reg(early_stopping=True, n_iter_no_change=3),
        {"learning_rate": RATES},
        {},
    ),
    "grids in a list": (
        iris,
        clf(),
        [{"learning_rate": RATES}, {"solver": ["lbfgs"], "alpha": [0.1, 1]}],
        {"cv": 2},
        {"lbfgs": 4},
    ),
    "diverging": (iris, clf(solver="sgd"), {"learning_rate": [0.1, 1e3, 1e9, 1e200]}, {"cv": 2}),
    "random state is None for one": (
        iris,
        clf(),
        {"random_state": [3, None, 0, 1]},
        {"cv": 2},
        {"no seed to start from": 2},
    ),
    "random state is None for all": (
        iris,
        clf(random_state=None),
        {"learning_rate": RATES},
        {"cv": 2},
        {"no seed": 10},
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_same_scores_as_grid_search(row):
    data, estimator, grid, options, *alone = row
    alone = sum(count for reasons in alone for count in reasons.values())
    search_both(estimator, grid, *data(), alone=alone, **options)
