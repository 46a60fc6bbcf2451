"""Predict intervals: several quantiles at once, which never cross.

What you will learn:

- how `Quantile([0.05, 0.5, 0.95])` predicts a median and an interval around it;
- how to check an interval: the share of new targets that it covers, and its width;
- that the columns are in order for every row, however far from the data.

The data: the progression of diabetes in 442 patients (Efron et al., 2004;
it comes with scikit-learn), by cross-validation; and, to look at, a curve whose noise grows.

Run it from the root of a checkout, in an environment that has the package and matplotlib:

    python examples/plot_quantile_intervals.py --output quantile_intervals.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from bpestimator import BackpropRegressor, Quantile

LEVELS = [0.05, 0.5, 0.95]


def make_net(**params: object) -> BackpropRegressor:
    return BackpropRegressor(
        Quantile(LEVELS), learning_rate_init=0.01, learning_rate="cosine", random_state=0, **params
    )


def report(name: str, y: np.ndarray, predicted: np.ndarray) -> None:
    """Coverage and width of the interval on rows not trained on."""
    low, _, high = predicted.T
    covered = np.mean((low <= y) & (y <= high))
    crossed = np.sum(np.diff(predicted, axis=1) < 0)
    width = np.mean(high - low)
    print(f"{name:22} {len(y):6d} {0.9:10.0%} {covered:10.1%} {width:10.2f} {crossed:9d}")


def save_picture(x: np.ndarray, y: np.ndarray, net: BackpropRegressor, path: Path) -> None:
    """The curve, its noise, and the three quantiles."""
    from matplotlib.figure import Figure

    grid = np.linspace(-4, 4, 400).reshape(-1, 1)
    low, median, high = net.predict(grid).T
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    ax = figure.subplots()
    ax.plot(x, y, ".", markersize=3, color="0.6", label="rows not trained on")
    ax.fill_between(grid.ravel(), low, high, alpha=0.3, label="5 % to 95 %")
    ax.plot(grid, median, label="median")
    ax.set_xlabel("x")
    ax.set_ylabel("y")
    ax.set_title("Three quantiles by one network")
    figure.legend(loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description="Check intervals made of quantiles.")
    parser.add_argument(
        "--output", type=Path, default=Path("quantile_intervals.png"), metavar="PATH"
    )
    path = parser.parse_args().output

    print(f"{'data':22} {'rows':>6} {'nominal':>10} {'covered':>10} {'width':>10} {'crossed':>9}")
    X, y = load_diabetes(return_X_y=True)
    small = make_net(hidden_layer_sizes=(8,), alpha=3.0, max_iter=60, batch_size=32)
    model = make_pipeline(StandardScaler(), small)
    folds = KFold(5, shuffle=True, random_state=0)
    report("diabetes, y scaled", scale(y), cross_val_predict(model, X, scale(y), cv=folds))

    rng = np.random.RandomState(0)
    x = rng.uniform(-4, 4, size=(3000, 1))
    curve = np.sin(x.ravel()) + (0.1 + 0.1 * np.abs(x.ravel())) * rng.normal(size=3000)
    net = make_net(hidden_layer_sizes=(32,), max_iter=100).fit(x[:2000], curve[:2000])
    report("curve, growing noise", curve[2000:], net.predict(x[2000:]))
    save_picture(x[2000:], curve[2000:], net, path)
    print(f"Picture saved as {path}")


if __name__ == "__main__":
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    warnings.simplefilter("ignore", ConvergenceWarning)  # the schedule ends with max_iter
    main()
