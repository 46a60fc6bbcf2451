"""What each option costs: microseconds a step, beside those of the defaults; one thread."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from contest import head, row, seconds, title
from threadpoolctl import threadpool_limits

from bpestimator import BackpropClassifier, BackpropRegressor, CustomActivation, Quantile
from bpestimator.nn import ACTIVATIONS, CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from bpestimator.training import OPTIMIZERS, SCHEDULES

ROWS, FEATURES, BATCH, EPOCHS = 4000, 50, 200, 6

OF_BOTH: dict[str, dict[str, Any]] = {
    **{f"activation {name}": {"activation": name} for name in ACTIVATIONS},
    "activation of one's own": {"activation": CustomActivation(np.sin, np.cos)},
    **{f"solver {name}": {"solver": name} for name in OPTIMIZERS},
    **{f"learning_rate {name}": {"learning_rate": name} for name in SCHEDULES},
    "dropout=0.5": {"dropout": 0.5},
    "dropout of features, too": {"dropout": [0.1, 0.5]},
    "max_grad_norm=1": {"max_grad_norm": 1.0},
    "class_weight='balanced'": {"class_weight": "balanced"},
    "label_smoothing=0.1": {"label_smoothing": 0.1},
    "early_stopping": {"early_stopping": True},
    "early_stopping by roc_auc": {"early_stopping": True, "scoring": "roc_auc_ovr"},
    "diagnostics": {"diagnostics": True},
    **{f"loss {name}": {"loss": name} for name in CLASSIFICATION_LOSSES},
}
OF_NUMBERS: dict[str, dict[str, Any]] = {
    **{f"loss {name}": {"loss": name} for name in REGRESSION_LOSSES},
    "loss of three quantiles": {"loss": Quantile([0.05, 0.5, 0.95])},
    "output_activation softplus": {"output_activation": "softplus"},
}


def main() -> None:
    """A table for classes, and one for what only numbers have."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(ROWS, FEATURES))
    classes, numbers = rng.randint(0, 10, ROWS), np.exp(rng.normal(size=ROWS))
    for kind, y, options in (
        (BackpropClassifier, classes, OF_BOTH),
        (BackpropRegressor, numbers, OF_NUMBERS),
    ):
        title(f"{kind.__name__}: {ROWS}x{FEATURES}, 100 units, batch {BATCH}, float64")
        head("option", "us a step", "over the defaults")
        common = {"batch_size": BATCH, "n_iter_no_change": np.inf, "random_state": 0}
        fits = [
            partial(kind(**common, max_iter=EPOCHS, **params).fit, X, y)
            for params in ({}, *options.values())
        ]
        with threadpool_limits(1):
            default, *others = (1e6 * t / (EPOCHS * ROWS / BATCH) for t in seconds(fits, 9))
        row("defaults", default, 1.0)
        for name, taken in zip(options, others, strict=True):
            row(name, taken, taken / default)
