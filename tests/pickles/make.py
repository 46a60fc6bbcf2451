"""Pickles of a release, for ``test_pickles.py`` to load in every later version.

Run it once, with the released version installed, and commit the folder that it writes, which
carries the version's number; pickles of earlier releases stay as they are:

    python -m venv released && released/bin/pip install bpestimator==0.1.0
    released/bin/python tests/pickles/make.py

Beside each pickle lies a file of arrays: rows, what the model predicts for them, and the weights
that it has after it has learnt from them once more.
"""

from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sklearn
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import bpestimator as bp

HERE = Path(__file__).parent
PROTOCOL = 4

rng = np.random.RandomState(0)
X = rng.normal(size=(60, 4))
NUMBERS = X @ [1.0, -2.0, 0.5, 0.0] + 0.1 * rng.normal(size=60)
LABELS = np.digitize(NUMBERS, [-1.0, 1.0])
MULTILABEL = (X[:, :3] + X[:, 1:] > 0).astype(int)
WORDS = np.array(["low", "middle", "high"])[LABELS]
COUNTS = np.floor(np.exp(0.3 * NUMBERS))


class Case(NamedTuple):
    """A fitted model, the targets it learnt from, and how it goes on: by which method."""

    model: Any
    y: np.ndarray
    goes_on: str
    X: np.ndarray = X


def classifier(**params: Any) -> bp.BackpropClassifier:
    return bp.BackpropClassifier(**{"hidden_layer_sizes": (5,), **few(params)})


def regressor(**params: Any) -> bp.BackpropRegressor:
    return bp.BackpropRegressor(**{"hidden_layer_sizes": (5,), **few(params)})


def few(params: dict[str, Any]) -> dict[str, Any]:
    """Small fits that can be told from untrained networks."""
    return {"max_iter": 4, "batch_size": 16, "learning_rate_init": 0.01, "random_state": 0} | params


def fitted(model: Any, y: np.ndarray, goes_on: str = "partial_fit", **fit: Any) -> Case:
    return Case(model.fit(X, y, **fit), y, goes_on)


def chain(model: Any, y: np.ndarray, calls: int = 3) -> Case:
    """Some calls of ``partial_fit``, each with other rows."""
    classes = {"classes": np.unique(y)} if isinstance(model, bp.BackpropClassifier) else {}
    for rows in np.array_split(np.arange(len(X)), calls):
        model.partial_fit(X[rows], y[rows], **classes)
    return Case(model, y, "partial_fit")


def of_estimators() -> dict[str, Case]:
    """One call of ``fit``."""
    val = {"X_val": X[:20] + 0.1, "sample_weight_val": np.linspace(1, 2, 20)}
    x32 = X.astype(np.float32)
    return {
        "classifier": fitted(classifier(), LABELS),
        "regressor": fitted(regressor(), NUMBERS),
        "two_classes": fitted(classifier(class_weight={0: 2.0, 1: 1.0}), LABELS // 2),
        "string_labels": fitted(classifier(label_smoothing=0.1), WORDS),
        "multilabel": fitted(classifier(), MULTILABEL),
        "two_outputs": fitted(regressor(activation="tanh"), X[:, :2] @ np.eye(2)[::-1]),
        "float32": Case(classifier().fit(x32, LABELS), LABELS, "partial_fit", x32),
        "early_stopping": fitted(classifier(early_stopping=True), LABELS, "warm_fit"),
        "validation_rows": fitted(regressor(), NUMBERS, y_val=NUMBERS[:20], **val),
        "diagnostics": fitted(classifier(diagnostics=True, max_grad_norm=1.0), LABELS),
        "lbfgs": fitted(classifier(solver="lbfgs"), LABELS, "warm_fit"),
        "lbfgs_regressor": fitted(regressor(solver="lbfgs"), NUMBERS, "warm_fit"),
        "poisson": fitted(regressor(loss="poisson"), COUNTS),
        "auto_rate": fitted(classifier(learning_rate_init="auto"), LABELS),
    }


def of_chains() -> dict[str, Case]:
    """Calls of ``partial_fit``: there is an optimizer's memory to go on with."""
    sgd = {"solver": "sgd", "momentum": 0.8}
    stalling = {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1}
    scaling = {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3}
    two_layers = {"hidden_layer_sizes": (6, 5)}
    return {
        "chain_adam": chain(classifier(), LABELS),
        "chain_sgd_nesterov": chain(regressor(**sgd), NUMBERS),
        "chain_sgd_momentum": chain(classifier(**sgd, nesterovs_momentum=False), LABELS),
        "chain_nadam": chain(classifier(solver="nadam"), LABELS),
        "chain_adamw": chain(regressor(solver="adamw"), NUMBERS),
        "chain_rmsprop": chain(regressor(solver="rmsprop"), NUMBERS),
        "chain_adagrad": chain(regressor(solver="adagrad"), NUMBERS),
        "chain_dropout": chain(classifier(dropout=[0.1, 0.2, 0.3], **two_layers), LABELS),
        "chain_auto_rate": chain(regressor(learning_rate_init="auto"), NUMBERS),
        "chain_adaptive": chain(classifier(**stalling), LABELS),
        "chain_invscaling": chain(regressor(**scaling), NUMBERS),
        "fit_then_chain": chain(fitted(classifier(), LABELS).model, LABELS),
    }


def of_objects() -> dict[str, Case]:
    """Estimators that hold objects as parameters."""
    per_layer = [bp.LeakyReLU(slope=0.1), bp.CustomActivation(np.sin, np.cos)]
    return {
        "quantiles": fitted(regressor(loss=bp.Quantile([0.1, 0.5, 0.9])), NUMBERS),
        "objects_classifier": chain(
            classifier(
                hidden_layer_sizes=(6, 5),
                activation=per_layer,
                loss=bp.Focal(gamma=1.5),
                solver=bp.AdamW(weight_decay=0.1),
                learning_rate=bp.Exponential(decay=0.9),
                weight_init=bp.Orthogonal(gain=1.4),
            ),
            LABELS,
        ),
        "objects_regressor": fitted(
            regressor(
                activation=bp.ELU(alpha=0.5),
                loss=bp.Huber(delta=1.5),
                solver=bp.SGD(momentum=0.7, nesterov=False),
                learning_rate=bp.OneCycle(peak=0.2),
                weight_init=bp.He("normal"),
            ),
            NUMBERS,
            "warm_fit",
        ),
    }


def of_others() -> dict[str, Case]:
    """Models of scikit-learn's own classes, or made from them, around ours."""
    rates = {"learning_rate_init": [0.001, 0.01, 0.03]}
    drawn = {"learning_rate_init": [0.001, 0.003, 0.01, 0.03], "alpha": [0.0, 1e-4, 0.1]}
    draws = {"n_iter": 4, "cv": 2, "random_state": 0}
    scaled = make_pipeline(StandardScaler(), classifier())
    target = TransformedTargetRegressor(regressor(), transformer=StandardScaler())
    return {
        "grid_search": fitted(bp.LockstepGridSearchCV(classifier(), rates, cv=3), LABELS, "clone"),
        "random_search": fitted(
            bp.LockstepRandomizedSearchCV(regressor(), drawn, **draws), NUMBERS, "clone"
        ),
        "pipeline": fitted(scaled, LABELS, "clone"),
        "target_regressor": fitted(target, NUMBERS, "clone"),
    }


def parameter_objects() -> list[Any]:
    """One or more of every public kind that a parameter may be."""
    return [
        *(bp.ELU(), bp.ELU(alpha=0.5), bp.GELU(), bp.Identity(), bp.LeakyReLU(slope=0.2)),
        *(bp.Logistic(), bp.Mish(), bp.ReLU(), bp.SELU(), bp.SiLU(), bp.Softplus(), bp.Tanh()),
        bp.CustomActivation(np.sin, np.cos),
        *(bp.AbsoluteError(), bp.Focal(gamma=1.5), bp.Gamma(), bp.Huber(delta=1.5), bp.LogCosh()),
        *(bp.LogLoss(), bp.Poisson(), bp.Quantile(0.9), bp.Quantile([0.1, 0.9])),
        *(bp.SquaredError(), bp.CustomLoss(np.subtract, np.add)),
        *(bp.Glorot(), bp.He("normal"), bp.LeCun(), bp.Orthogonal(gain=1.4)),
        *(bp.SGD(), bp.SGD(momentum=0.5, nesterov=False), bp.Adagrad(), bp.Adam(beta_1=0.8)),
        *(bp.AdamW(weight_decay=0.1), bp.NAdam(), bp.RMSprop()),
        *(bp.Adaptive(), bp.Constant(), bp.CosLog4(), bp.Cosine(final=0.1), bp.Exponential()),
        *(bp.InvScaling(power_t=0.3), bp.OneCycle(peak=0.2), bp.Cosine(warmup=0.1)),
    ]


def go_on(model: Any, X: np.ndarray, y: np.ndarray, how: str) -> Any:
    """Let a model learn once more."""
    if how == "clone":
        return sklearn.base.clone(model).fit(X, y)
    if how == "warm_fit":
        return model.set_params(warm_start=True).fit(X, y)
    return model.partial_fit(X, y)


def answers(model: Any, X: np.ndarray, prefix: str) -> dict[str, np.ndarray]:
    """What a model predicts."""
    methods = ("predict", "predict_proba")
    return {prefix + name: getattr(model, name)(X) for name in methods if hasattr(model, name)}


def weights(model: Any) -> dict[str, np.ndarray]:
    """What it has learnt, where it is one of ours."""
    coefs, intercepts = getattr(model, "coefs_", []), getattr(model, "intercepts_", [])
    return {f"weights_{k}": array for k, array in enumerate([*coefs, *intercepts])}


def write(folder: Path, name: str, case: Case) -> str:
    """Write the pickle and the arrays beside it; how the model goes on."""
    (folder / f"{name}.pkl").write_bytes(pickle.dumps(case.model, PROTOCOL))
    arrays = {"X": case.X, "y": case.y, **answers(case.model, case.X, "")}
    further = go_on(case.model, case.X, case.y, case.goes_on)
    arrays |= {**answers(further, case.X, "further_"), **weights(further)}
    np.savez_compressed(folder / f"{name}.npz", **arrays)
    return case.goes_on


def main() -> None:
    folder = HERE / bp.__version__
    folder.mkdir(exist_ok=True)
    cases = {**of_estimators(), **of_chains(), **of_objects(), **of_others()}
    objects = parameter_objects()
    (folder / "parameter_objects.pkl").write_bytes(pickle.dumps(objects, PROTOCOL))
    about = {
        "versions": {"numpy": np.__version__, "scikit-learn": sklearn.__version__},
        "goes_on": {name: write(folder, name, case) for name, case in cases.items()},
        "parameter_objects": [repr(one) for one in objects],
    }
    (folder / "about.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        main()
