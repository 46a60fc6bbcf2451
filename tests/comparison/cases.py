"""What is compared: estimators, the data they get, and what is done with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import bpestimator as bp


class Data(NamedTuple):
    """Rows and targets, of training and of validation."""

    X: Any
    y: np.ndarray
    weight: np.ndarray
    X_val: Any
    y_val: np.ndarray


class Case(NamedTuple):
    """What to make of which data.

    model : makes what is to be fitted
    data : their name
    life : what is done with it, one after the other; each takes the model and the data
    predict_on : name of the data to predict
    """

    model: Callable[[], Any]
    data: str
    life: tuple[Callable[[Any, Data], Any], ...]
    predict_on: str


# The data


def _targets(X: np.ndarray) -> dict[str, np.ndarray]:
    noise = 0.3 * np.random.RandomState(1).normal(size=(len(X), 3))
    raw = X[:, :3] * [1.0, -2.0, 0.5] + X[:, 1:4] + noise
    one = raw.sum(1)
    labels = np.digitize(one, [-1.0, 1.0])
    return {
        "classes": labels,
        "two classes": (one > 0).astype(int),
        "words": np.array(["low", "middle", "high"])[labels],
        "labels": (raw > 0).astype(int),
        "numbers": one,
        "two outputs": raw[:, :2],
        "positive": np.exp(0.3 * one),
        "probabilities": 1 / (1 + np.exp(-one)),
    }


def _few(X: np.ndarray) -> np.ndarray:
    return np.where(X > 0.3, X, 0.0)


FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "dense": lambda X: X,
    "CSR": lambda X: sp.csr_matrix(_few(X)),
    "CSC": lambda X: sp.csc_matrix(_few(X)),
    "float32": lambda X: X.astype(np.float32),
    "Fortran": np.asfortranarray,
}


@cache
def data(name: str) -> Data:
    """By "targets, form, number of rows"; the last, or the last two, may be left out."""
    targets, form, rows = [*name.split(", "), *("dense", "90")[name.count(",") :]]
    n = int(rows)
    X = np.random.RandomState(0).normal(size=(n + 30, 5))
    y = _targets(X)[targets]
    weight = np.random.RandomState(2).uniform(0.5, 2, n)
    make = FORMS[form]
    return Data(make(X[:n]), y[:n], weight, make(X[n:]), y[n:])


# What is done with a model


def fit(model: Any, data: Data) -> None:
    model.fit(data.X, data.y)


def fit_weighted(model: Any, data: Data) -> None:
    model.fit(data.X, data.y, sample_weight=data.weight)


def fit_with_zeros(model: Any, data: Data) -> None:
    """Some batches have no row that counts."""
    weight = data.weight.copy()
    weight[::3] = 0
    weight[32:64] = 0
    model.fit(data.X, data.y, sample_weight=weight)


def fit_validated(model: Any, data: Data) -> None:
    model.fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)


def fit_validated_weighted(model: Any, data: Data) -> None:
    weights = {"sample_weight": data.weight, "sample_weight_val": data.weight[:30]}
    model.fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val, **weights)


def learn_in_parts(model: Any, data: Data) -> None:
    """Three calls of ``partial_fit``, with other rows each."""
    classes = {"classes": np.unique(data.y)} if hasattr(model, "predict_proba") else {}
    for rows in np.array_split(np.arange(data.X.shape[0]), 3):
        model.partial_fit(data.X[rows], data.y[rows], **classes)


def set_rate(rate: float) -> Callable[[Any, Data], Any]:
    return lambda model, data: model.set_params(learning_rate_init=rate)


def stretch_weights(model: Any, data: Data) -> None:
    """As a user may, by hand."""
    model.coefs_ = [1.5 * coef for coef in model.coefs_]


# Functions of a user's own


def wave(z: np.ndarray) -> np.ndarray:
    return np.sin(z)


def slope_of_wave(z: np.ndarray) -> np.ndarray:
    return np.cos(z)


def fourth_power(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    return (p - y) ** 4


def slope_of_fourth_power(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    return 4 * (p - y) ** 3


# The table

SMALL = {"hidden_layer_sizes": (7, 6), "batch_size": 32, "max_iter": 5, "random_state": 0}


def case(
    kind: type, on: str, *life: Callable[..., Any], predict_on: str = "", **params: Any
) -> Case:
    params = {**SMALL, "learning_rate_init": 0.01, **params}
    return Case(lambda: kind(**params), on, life or (fit,), predict_on or on)


def classes(*life: Callable[..., Any], on: str = "classes", **params: Any) -> Case:
    return case(bp.BackpropClassifier, on, *life, **params)


def numbers(*life: Callable[..., Any], on: str = "numbers", **params: Any) -> Case:
    return case(bp.BackpropRegressor, on, *life, **params)


ACTIVATIONS = (
    *("identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu"),
    *("mish", "softplus"),
)
INITIALIZERS = (
    *("glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform"),
    *("lecun_normal", "orthogonal"),
)
REGRESSION_LOSSES = ("squared_error", "absolute_error", "huber", "log_cosh", "quantile")
SCHEDULES = ("constant", "invscaling", "adaptive", "exponential", "cosine", "one_cycle", "coslog4")
STALLING = {"tol": 10.0, "n_iter_no_change": 1}

SOLVERS = {
    **{
        f"solver {name}": classes(solver=name)
        for name in ("sgd", "adam", "adamw", "nadam", "rmsprop", "adagrad")
    },
    "solver sgd, plain": numbers(solver="sgd", momentum=0.0),
    "solver sgd, momentum without Nesterov": numbers(solver="sgd", nesterovs_momentum=False),
    "solver AdamW(weight_decay=0.1)": numbers(solver=bp.AdamW(weight_decay=0.1)),
    "solver NAdam(momentum_decay=0.01)": numbers(solver=bp.NAdam(momentum_decay=0.01)),
    "solver RMSprop(rho=0.8)": numbers(solver=bp.RMSprop(rho=0.8)),
    "solver lbfgs": classes(solver="lbfgs"),
    "solver lbfgs, numbers": numbers(solver="lbfgs", activation="tanh"),
    "solver lbfgs, CSR": classes(solver="lbfgs", on="classes, CSR"),
    "solver lbfgs, weights, labels": classes(fit_weighted, solver="lbfgs", on="labels"),
    "solver lbfgs, 4500 rows": classes(solver="lbfgs", max_iter=3, on="classes, dense, 4500"),
    "solver lbfgs, 4500 rows, CSR": numbers(solver="lbfgs", max_iter=3, on="numbers, CSR, 4500"),
    "solver lbfgs, validation, warm": classes(
        fit_validated, fit_validated, solver="lbfgs", warm_start=True
    ),
}
LAYERS = {
    **{f"activation {name}": classes(activation=name) for name in ACTIVATIONS},
    "activation of one's own": classes(activation=bp.CustomActivation(wave, slope_of_wave)),
    "activation per layer": numbers(activation=[bp.LeakyReLU(slope=0.1), "gelu"]),
    "activation ELU(alpha=0.5), float32": numbers(
        activation=bp.ELU(alpha=0.5), on="numbers, float32"
    ),
    "no hidden layer": classes(hidden_layer_sizes=()),
    "one unit": numbers(hidden_layer_sizes=(1,)),
    **{f"weight_init {name}": classes(weight_init=name) for name in INITIALIZERS},
    "weight_init Orthogonal(gain=1.4)": numbers(weight_init=bp.Orthogonal(gain=1.4)),
}
LOSSES = {
    **{
        f"{on}, loss {name}": classes(loss=name, on=on)
        for on in ("classes", "two classes", "labels")
        for name in ("log_loss", "squared_error", "focal")
    },
    "loss Focal(gamma=1.5), smoothed": classes(loss=bp.Focal(gamma=1.5), label_smoothing=0.1),
    **{f"numbers, loss {name}": numbers(loss=name) for name in REGRESSION_LOSSES},
    **{f"loss {name}": numbers(loss=name, on="positive") for name in ("poisson", "gamma")},
    "loss of one's own": numbers(loss=bp.CustomLoss(fourth_power, slope_of_fourth_power)),
    "loss Huber(delta=0.5), two outputs": numbers(loss=bp.Huber(delta=0.5), on="two outputs"),
    "three quantiles": numbers(loss=bp.Quantile([0.1, 0.5, 0.9])),
    "three quantiles, softplus": numbers(
        loss=bp.Quantile([0.1, 0.5, 0.9]), output_activation="softplus", on="positive"
    ),
    **{
        f"output_activation {name}": numbers(output_activation=name, on="probabilities")
        for name in ("logistic", "tanh", "exp", "softplus")
    },
}
DATA = {
    "words": classes(on="words"),
    "two outputs": numbers(on="two outputs"),
    "classes, CSR": classes(on="classes, CSR"),
    "numbers, CSC": numbers(on="numbers, CSC"),
    "classes, float32": classes(on="classes, float32"),
    "labels, float32, sgd": classes(on="labels, float32", solver="sgd"),
    "Fortran": classes(on="classes, Fortran"),
    "Fortran, not shuffled": numbers(on="numbers, Fortran", shuffle=False),
    "not shuffled": classes(shuffle=False),
    "CSR, not shuffled": classes(on="classes, CSR", shuffle=False),
    "weights": classes(fit_weighted),
    "weights, CSR, numbers": numbers(fit_weighted, on="numbers, CSR"),
    "weights with zeros": numbers(fit_with_zeros, shuffle=False),
    "class_weight balanced": classes(class_weight="balanced"),
    "class_weight dict, weights": classes(fit_weighted, class_weight={0: 2.0, 1: 1.0, 2: 0.5}),
    "class_weight balanced, labels": classes(class_weight="balanced", on="labels"),
    "label_smoothing": classes(label_smoothing=0.1),
    "label_smoothing, two classes": classes(label_smoothing=0.1, on="two classes"),
    "predictions of 9000 rows": classes(predict_on="classes, dense, 9000"),
    "predictions of 9000 rows, CSR": numbers(on="numbers, CSR", predict_on="numbers, CSR, 9000"),
    "163,000 parameters": classes(hidden_layer_sizes=(400, 400), max_iter=2),
    "163,000 parameters, nadam, clipped": numbers(
        hidden_layer_sizes=(400, 400), max_iter=2, solver="nadam", max_grad_norm=0.1
    ),
    "batches of 1": numbers(batch_size=1, max_iter=2),
    "one batch": classes(batch_size="auto"),
}
TRAINING = {
    **{f"learning_rate {name}": classes(learning_rate=name) for name in SCHEDULES},
    "learning_rate 0.003": numbers(learning_rate=0.003),
    "learning_rate Cosine(final, warmup), sgd": numbers(
        learning_rate=bp.Cosine(final=0.1, warmup=1.0), solver="sgd"
    ),
    "learning_rate OneCycle(peak=0.2)": numbers(learning_rate=bp.OneCycle(peak=0.2)),
    "learning_rate adaptive, stalling": classes(learning_rate="adaptive", **STALLING),
    "learning_rate_init auto": classes(learning_rate_init="auto"),
    "learning_rate_init auto, numbers": numbers(learning_rate_init="auto", solver="sgd"),
    "converges": numbers(tol=1.0, n_iter_no_change=2, max_iter=20),
    "diverges": numbers(solver="sgd", learning_rate_init=50.0, max_iter=20),
    "dropout": classes(dropout=0.3),
    "dropout of features": numbers(dropout=[0.2, 0.3, 0.1]),
    "dropout, CSR": classes(dropout=0.3, on="classes, CSR"),
    "dropout of features, CSR": classes(dropout=[0.2, 0.3, 0.1], on="classes, CSR"),
    "dropout, float32": numbers(dropout=0.3, on="numbers, float32"),
    "max_grad_norm": classes(max_grad_norm=0.5, solver="sgd"),
    "diagnostics": classes(diagnostics=True),
    "diagnostics, tanh, clipped, dropout": numbers(
        diagnostics=True, activation="tanh", max_grad_norm=0.5, dropout=0.2
    ),
    "alpha 0": numbers(alpha=0.0),
    "alpha 0.1": classes(alpha=0.1, solver="rmsprop"),
    "early_stopping": classes(early_stopping=True, n_iter_no_change=2, max_iter=15),
    "early_stopping, loss": numbers(early_stopping=True, scoring="loss", max_iter=10),
    "early_stopping, roc_auc": classes(
        early_stopping=True, scoring="roc_auc", max_iter=10, on="two classes"
    ),
    "early_stopping, CSR, weights": numbers(fit_weighted, early_stopping=True, on="numbers, CSR"),
    "early_stopping, quantiles": numbers(early_stopping=True, loss=bp.Quantile([0.2, 0.8])),
    "X_val": classes(fit_validated),
    "X_val, weights": classes(fit_validated_weighted, class_weight="balanced"),
    "X_val, early_stopping": numbers(fit_validated, early_stopping=True, max_iter=10),
}
PARTS = {"batch_size": 12}  # of 30 rows
LIVES = {
    "warm_start": classes(fit, fit, warm_start=True),
    "warm_start, early_stopping": numbers(fit, fit, warm_start=True, early_stopping=True),
    "warm_start, nadam, dropout": classes(fit, fit, warm_start=True, solver="nadam", dropout=0.2),
    "fit, fit": classes(fit, fit),
    "weights set by hand": numbers(fit, stretch_weights, learn_in_parts),
    **{
        f"partial_fit, {name}": classes(learn_in_parts, solver=name, **PARTS)
        for name in ("sgd", "adam", "adamw", "nadam", "rmsprop", "adagrad")
    },
    "partial_fit, rate changed": numbers(
        learn_in_parts, set_rate(0.003), learn_in_parts, set_rate(0.1), learn_in_parts, **PARTS
    ),
    "partial_fit, adaptive, rate changed": numbers(
        *(learn_in_parts, set_rate(0.03), learn_in_parts),
        **{"solver": "sgd", "learning_rate": "adaptive", **STALLING, **PARTS},
    ),
    "partial_fit, invscaling": numbers(
        learn_in_parts, learn_in_parts, solver="sgd", learning_rate="invscaling", **PARTS
    ),
    "partial_fit, dropout": classes(
        learn_in_parts, learn_in_parts, dropout=[0.1, 0.2, 0.3], **PARTS
    ),
    "partial_fit, auto rate": numbers(learn_in_parts, learning_rate_init="auto"),
    "partial_fit, CSR": classes(learn_in_parts, on="classes, CSR", **PARTS),
    "partial_fit, float32": numbers(learn_in_parts, on="numbers, float32", **PARTS),
    "fit, partial_fit": classes(fit, learn_in_parts, solver="sgd"),
}


# Searches

RATES = {"learning_rate_init": [0.001, 0.003, 0.01, 0.03]}
ROWS = ", dense, 301"  # so that the folds differ in size


def search(
    around: Callable[[Any], Any] = clone,
    grid: dict[str, Any] | None = None,
    on: str = "classes" + ROWS,
    life: Callable[..., Any] = fit,
    kind: type = bp.BackpropClassifier,
    n_jobs: int | None = None,
    **params: Any,
) -> Case:
    """A grid search over an estimator, or over what is put around it."""
    params = {**SMALL, "max_iter": 3, **params}
    outer = {"param_grid": RATES if grid is None else grid, "cv": 3, "n_jobs": n_jobs}
    return Case(
        lambda: bp.LockstepGridSearchCV(around(kind(**params)), **outer, return_train_score=True),
        on,
        (life,),
        on,
    )


def scaled(est: Any) -> Any:
    return make_pipeline(StandardScaler(), est)


def standardised(est: Any) -> Any:
    return TransformedTargetRegressor(est, transformer=StandardScaler())


def drawn() -> Any:
    distributions = {"learning_rate_init": np.geomspace(1e-3, 1, 20), "alpha": [0.0, 1e-4, 0.1]}
    est = bp.BackpropRegressor(**SMALL)
    return bp.LockstepRandomizedSearchCV(est, distributions, n_iter=5, cv=3, random_state=0)


ON_NUMBERS = {"kind": bp.BackpropRegressor, "on": "numbers" + ROWS}
IN_PIPELINE = {f"backpropclassifier__{name}": values for name, values in RATES.items()}
IN_TARGET = {f"regressor__{name}": values for name, values in RATES.items()}
NUMBERS_OF_ADAM = {"alpha": [0.0, 0.01], "beta_1": [0.8, 0.9], "epsilon": [1e-8, 1e-6]}
KINDS = {"hidden_layer_sizes": [(5,), (4, 3)], "activation": ["relu", "tanh"], **RATES}
SEARCHES = {
    "search": search(),
    "search, numbers": search(**ON_NUMBERS),
    "search, sgd": search(solver="sgd", grid={**RATES, "momentum": [0.5, 0.9]}),
    "search, numbers of Adam": search(grid=NUMBERS_OF_ADAM),
    "search, solver objects": search(
        grid={"solver": [bp.AdamW(weight_decay=w) for w in (0.0, 0.01, 0.1)]}, **ON_NUMBERS
    ),
    "search, seeds": search(grid={"random_state": [0, 1, 2, 3]}),
    "search, kinds of network": search(grid=KINDS),
    "search, dropout": search(grid={"dropout": [0.1, 0.2, 0.3]}),
    "search, dropout of features": search(
        grid={**RATES, "dropout": [[0.1, 0.2, 0.2], [0.2, 0.1, 0.1]]}, **ON_NUMBERS
    ),
    "search, float32": search(on="classes, float32, 301"),
    "search, weights": search(life=fit_weighted),
    "search, class_weight": search(class_weight="balanced"),
    "search, label_smoothing": search(grid={"label_smoothing": [0.0, 0.1, 0.2]}),
    "search, max_grad_norm, diagnostics": search(
        grid={"max_grad_norm": [0.1, 0.5, 1.0]}, diagnostics=True
    ),
    "search, schedules": search(grid={**RATES, "learning_rate": ["cosine", "invscaling"]}),
    "search, adaptive": search(
        **{"solver": "sgd", "learning_rate": "adaptive", "max_iter": 8, **STALLING}
    ),
    "search, some converge": search(tol=0.01, n_iter_no_change=2, max_iter=25, **ON_NUMBERS),
    "search, some diverge": search(
        grid={"learning_rate_init": [0.01, 0.1, 10.0, 1e3]}, solver="sgd", **ON_NUMBERS
    ),
    "search, early_stopping": search(early_stopping=True, n_iter_no_change=2, max_iter=8),
    "search, early_stopping by loss": search(
        early_stopping=True, scoring="loss", max_iter=6, **ON_NUMBERS
    ),
    "search, labels": search(on="labels" + ROWS),
    "search, two outputs": search(kind=bp.BackpropRegressor, on="two outputs" + ROWS),
    "search, quantiles": search(loss=bp.Quantile([0.1, 0.9]), **ON_NUMBERS),
    "search, CSR": search(on="classes, CSR, 301"),
    "search, not shuffled": search(shuffle=False),
    "search, one fold size": search(on="classes, dense, 300"),
    "search, lbfgs among others": search(grid={"solver": ["lbfgs", "adam"], "alpha": [0.0, 0.1]}),
    "search, Pipeline": search(scaled, IN_PIPELINE),
    "search, TransformedTargetRegressor": search(standardised, IN_TARGET, **ON_NUMBERS),
    "search, drawn": Case(drawn, "numbers" + ROWS, (fit,), "numbers" + ROWS),
    "search, two processes": search(n_jobs=2),
}

CASES: dict[str, Case] = {
    **SOLVERS,
    **LAYERS,
    **LOSSES,
    **DATA,
    **TRAINING,
    **LIVES,
    **SEARCHES,
}
