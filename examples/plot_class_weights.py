"""Find a rare class: class weights on imbalanced data.

What you will learn:

- what a network does with a class that is one row in ten: it misses part of it;
- how `class_weight` makes the rare class count more, by a dict or by "balanced";
- what that costs: more false alarms.

The data are real: 1797 handwritten digits of 8 x 8 pixels (they come with scikit-learn), of which
the eights are to be found. To learn from, a tenth of the labels are made wrong: with labels this
clean, a network learns every eight by heart, and there is nothing to weigh.

Run it from the root of a checkout, in an environment that has the package and matplotlib:

    python examples/plot_class_weights.py --output class_weights.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score, precision_score, recall_score
from sklearn.model_selection import StratifiedKFold

from bpestimator import BackpropClassifier

WEIGHTS = {"None": None, "{1: 3}": {1: 3.0}, '"balanced"': "balanced"}
SCORES = {
    "recall": recall_score,
    "precision": precision_score,
    "balanced accuracy": balanced_accuracy_score,
}


def mean_scores(class_weight: object, X: np.ndarray, y: np.ndarray) -> list[float]:
    """Each score, averaged over five folds; wrong labels in training only."""
    found = []
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(X, y):
        labels = y[train].copy()
        wrong = np.random.RandomState(0).rand(len(train)) < 0.1
        labels[wrong] = 1 - labels[wrong]
        net = BackpropClassifier(
            (20,), class_weight=class_weight, alpha=1.0, max_iter=60, tol=1e-3, random_state=0
        )
        predicted = net.fit(X[train], labels).predict(X[test])
        found.append([score(y[test], predicted) for score in SCORES.values()])
    return np.mean(found, axis=0).tolist()


def save_picture(table: dict[str, list[float]], path: Path) -> None:
    """A group of bars for each score."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    ax = figure.subplots()
    for shift, (name, scores) in enumerate(table.items()):
        places = np.arange(len(SCORES)) + 0.25 * (shift - 1)
        bars = ax.bar(places, scores, width=0.23, label=f"class_weight={name}")
        ax.bar_label(bars, fmt="{:.2f}", fontsize=8)
    ax.set_xticks(range(len(SCORES)), SCORES)
    ax.set_ylim(0, 1.25)
    ax.set_ylabel("mean of 5 folds")
    ax.set_title("Finding the eights among the digits, one in ten")
    ax.legend(loc="upper center", ncols=3, fontsize=8)
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare class weights on imbalanced data.")
    parser.add_argument("--output", type=Path, default=Path("class_weights.png"), metavar="PATH")
    path = parser.parse_args().output

    digits = load_digits()
    X, y = digits.data / 16, (digits.target == 8).astype(int)
    table = {name: mean_scores(weight, X, y) for name, weight in WEIGHTS.items()}
    print(f"{'class_weight':14}" + "".join(f"{name:>20}" for name in SCORES))
    for name, scores in table.items():
        print(f"{name:14}" + "".join(f"{score:20.3f}" for score in scores))
    save_picture(table, path)
    print(f"Picture saved as {path}")


if __name__ == "__main__":
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    warnings.simplefilter("ignore", ConvergenceWarning)  # 60 epochs are enough to compare
    main()
