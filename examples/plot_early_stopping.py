"""Stop in time: validation curves and early stopping.

What you will learn:

- how to watch a fit on rows of your own, `fit(X, y, X_val=..., y_val=...)`;
- how to read `loss_curve_` beside `validation_loss_curve_`: where they part, the network begins to
  learn the training rows by heart;
- how `early_stopping` with `scoring="loss"` keeps the weights from before that.

The data: the progression of diabetes in 442 patients (Efron et al., 2004;
it comes with scikit-learn): few rows, and a network that is too large for them.

Run it from the root of a checkout, in an environment that has the package and matplotlib:

    python examples/plot_early_stopping.py --output early_stopping.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from bpestimator import BackpropRegressor

SETTINGS = {
    "trained to the end": {},
    "early stopping": {"early_stopping": True, "scoring": "loss"},
    "dropout": {"dropout": [0.1, 0.5]},
}


def save_picture(nets: dict[str, BackpropRegressor], path: Path) -> None:
    """Both losses of the long run, and where early stopping would have ended it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    ax = figure.subplots()
    long = nets["trained to the end"]
    ax.plot(long.history_["epoch"], long.loss_curve_, label="training rows")
    ax.plot(long.history_["epoch"], long.validation_loss_curve_, label="validation rows")
    dropped = nets["dropout"]
    ax.plot(
        dropped.history_["epoch"],
        dropped.validation_loss_curve_,
        color="tab:green",
        label="validation rows, with dropout",
    )
    best = int(np.argmin(nets["early stopping"].validation_loss_curve_)) + 1
    ax.axvline(best, color="0.5", linestyle="--", label=f"early stopping keeps epoch {best}")
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss: half the mean squared error")
    ax.set_title("Diabetes data: a network that learns its rows by heart")
    ax.set_ylim(bottom=0)
    figure.legend(loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description="Watch the validation loss of a fit.")
    parser.add_argument("--output", type=Path, default=Path("early_stopping.png"), metavar="PATH")
    path = parser.parse_args().output

    X, y = load_diabetes(return_X_y=True)
    X, X_test, y, y_test = train_test_split(scale(X), scale(y), test_size=100, random_state=0)
    X, X_val, y, y_val = train_test_split(X, y, test_size=100, random_state=0)

    nets = {}
    print(f"{'':20} {'epochs':>7} {'R^2 on test rows':>18}   why it stopped")
    for name, params in SETTINGS.items():
        net = BackpropRegressor(
            hidden_layer_sizes=(100,),
            learning_rate=0.003,
            batch_size=32,
            max_iter=200,
            tol=0,
            n_iter_no_change=20,
            random_state=0,
            **params,
        )
        nets[name] = net.fit(X, y, X_val=X_val, y_val=y_val)
        reason = net.stop_reason_.partition(":")[0]
        print(f"{name:20} {net.n_iter_:7d} {net.score(X_test, y_test):18.3f}   {reason}")
    save_picture(nets, path)
    print(f"Picture saved as {path}")


if __name__ == "__main__":
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    warnings.simplefilter("ignore", ConvergenceWarning)  # the long run is meant to be long
    main()
