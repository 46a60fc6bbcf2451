"""Tune the learning rate of a network, all rates at once.

What you will learn:

- how to put a `BackpropClassifier` in a Pipeline, behind a StandardScaler;
- how to search its learning rate with `LockstepGridSearchCV`, and that this is GridSearchCV with
  one word changed: the same scores, in less time;
- how to read the result, as a table and as a picture: not one best rate, but a plateau of good
  ones, and its middle.

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
from time import perf_counter

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from bpestimator import BackpropClassifier, LearningRateDisplay, LockstepGridSearchCV

RATES = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]


def make_model() -> Pipeline:
    return Pipeline(
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


def timed_fit(search: GridSearchCV, X: np.ndarray, y: np.ndarray) -> float:
    """Fit, and tell the seconds that it took."""
    start = perf_counter()
    search.fit(X, y)
    return perf_counter() - start


def print_table(in_lockstep: GridSearchCV, one_by_one: GridSearchCV) -> None:
    """One line per rate: accuracy on the folds left out, from either search."""
    ours, theirs = in_lockstep.cv_results_, one_by_one.cv_results_
    print("learning rate   in lockstep     std   GridSearchCV     std")
    for i, rate in enumerate(RATES):
        cells = [f"{rate:13g}"]
        for results, width in ((ours, 11), (theirs, 12)):
            mean, std = results["mean_test_score"][i], results["std_test_score"][i]
            cells += [f"{mean:{width}.4f}", f"{std:.3f}"]
        print("   ".join(cells) + ("   <- best" if i == in_lockstep.best_index_ else ""))


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

    grid = {"net__learning_rate": RATES}
    in_lockstep = LockstepGridSearchCV(make_model(), grid, cv=5)
    one_by_one = GridSearchCV(make_model(), grid, cv=5)
    seconds = timed_fit(in_lockstep, X_train, y_train)
    seconds_one_by_one = timed_fit(one_by_one, X_train, y_train)
    print_table(in_lockstep, one_by_one)
    print()
    print(f"Seconds for {len(RATES)} rates on 5 folds: {seconds:.2f} in lockstep,", end=" ")
    print(f"{seconds_one_by_one:.2f} one after the other.")

    display = LearningRateDisplay.from_search(in_lockstep, plot=False)
    plateau = " to ".join(f"{rate:g}" for rate in sorted(set(display.interval)))
    print(f"Within one standard error of the best: {plateau}.", end=" ")
    print(f"Recommended: {display.recommended:.2g}.")
    print(f"Accuracy on {len(y_test)} rows that the search never saw:", end=" ")
    print(f"{in_lockstep.score(X_test, y_test):.4f}")

    try:
        # A Figure of its own, rather than pyplot's, needs no display.
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        print('No picture, for want of matplotlib: pip install "bpestimator[plot]"')
        return
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    display.plot(figure.subplots())
    display.ax_.set_title("Breast cancer data: accuracy over the learning rate")
    figure.savefig(path, dpi=150)
    print(f"Picture saved as {path}")


if __name__ == "__main__":
    main()
