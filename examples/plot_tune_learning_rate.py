"""Tune the learning rate of a network with GridSearchCV.

What you will learn:

- how to put a `BackpropClassifier` in a Pipeline, behind a StandardScaler;
- how to search its learning rate with GridSearchCV, as you would search any number;
- how to read the result, as a table and as a picture.

The learning rate is how far each step follows the gradient. Too small, and training gives up
before the network is good; too large, and it jumps about and settles on poor weights. What
matters is the order of magnitude, so the rates to try are spaced evenly on a logarithmic axis.

The data are real: 30 measurements of 569 breast tumours, to be told apart as benign or
malignant (Wolberg, Street and Mangasarian, 1995; they come with scikit-learn).

Run it from the root of a checkout, in an environment that has the package and matplotlib:

    python examples/plot_tune_learning_rate.py --output learning_rate.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from bpestimator import BackpropClassifier

RATES = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]


def make_search() -> GridSearchCV:
    """Five-fold cross-validation of every rate, then a last fit with the best one."""
    model = Pipeline(
        [
            # Networks want features of about the same size.
            ("scale", StandardScaler()),
            # Early stopping holds out a tenth of the rows and ends a fit when their score has
            # not improved for 20 epochs, long enough for small rates. max_iter is out of reach.
            (
                "net",
                BackpropClassifier(
                    hidden_layer_sizes=(32, 16),
                    batch_size=32,
                    early_stopping=True,
                    n_iter_no_change=20,
                    max_iter=1000,
                    random_state=0,
                ),
            ),
        ]
    )
    return GridSearchCV(model, {"net__learning_rate": RATES}, cv=5)


def print_table(search: GridSearchCV) -> None:
    """One line per rate: accuracy on the folds left out, and seconds per fit."""
    results = search.cv_results_
    columns = zip(
        RATES,
        results["mean_test_score"],
        results["std_test_score"],
        results["mean_fit_time"],
        strict=True,
    )
    print("learning rate   mean CV accuracy      std   mean fit time")
    for i, (rate, mean, std, seconds) in enumerate(columns):
        marker = "   <- best" if i == search.best_index_ else ""
        print(f"{rate:13g}   {mean:16.4f}   {std:6.4f}   {seconds:11.3f} s{marker}")


def save_picture(search: GridSearchCV, path: Path) -> None:
    """Accuracy over the learning rate, with a band of one standard deviation."""
    # A Figure of its own, rather than pyplot's, needs no display.
    from matplotlib.figure import Figure

    mean = search.cv_results_["mean_test_score"]
    std = search.cv_results_["std_test_score"]
    best = search.best_index_

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    ax = figure.subplots()
    ax.fill_between(
        RATES, mean - std, mean + std, alpha=0.2, linewidth=0, label="± 1 standard deviation"
    )
    ax.plot(RATES, mean, marker="o", label="mean of 5 folds")
    ax.plot(
        RATES[best],
        mean[best],
        linestyle="none",
        marker="*",
        markersize=16,
        color="tab:red",
        label=f"best: {RATES[best]:g}",
    )
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlabel("learning rate")
    ax.set_ylabel("cross-validated accuracy")
    ax.set_title("Breast cancer data: accuracy over the learning rate")
    ax.grid(alpha=0.3)
    ax.legend(loc="lower center")
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description="Tune a network's learning rate.")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("learning_rate.png"),
        metavar="PATH",
        help="where to save the picture (default: %(default)s)",
    )
    path = parser.parse_args().output
    if not path.parent.is_dir():
        parser.error(f"--output: there is no directory {path.parent}")

    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

    search = make_search().fit(X_train, y_train)
    print_table(search)
    print()
    print(f"Accuracy on {len(y_test)} rows that the search never saw:", end=" ")
    print(f"{search.score(X_test, y_test):.4f}")

    try:
        save_picture(search, path)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "matplotlib":
            raise
        print('No picture, for want of matplotlib: pip install "bpestimator[plot]"')
    else:
        print(f"Picture saved as {path}")


if __name__ == "__main__":
    main()
