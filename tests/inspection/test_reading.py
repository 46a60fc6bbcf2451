"""What is read from a search: which parameter, which metric, and what is left out aloud."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import loguniform
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from bpestimator import BackpropClassifier, Cosine, LearningRateDisplay, LockstepRandomizedSearchCV

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Search:
    """Looks like a fitted search of these candidates, whose scores have these means."""

    def __init__(self, candidates, refit=True, scoring=None, **means):
        self.refit, self.scoring = refit, scoring
        self.cv_results_ = {"params": candidates}
        for name in {name: None for params in candidates for name in params}:
            values = np.array([params.get(name) for params in candidates], object)
            mask = [name not in params for params in candidates]
            self.cv_results_[f"param_{name}"] = np.ma.array(values, mask=mask)
        for metric, mean in means.items():
            self.cv_results_[f"mean_test_{metric}"] = np.array(mean)
            for k, error in enumerate((-0.01, 0.01)):
                self.cv_results_[f"split{k}_test_{metric}"] = np.array(mean) + error


def rates(*values, name="learning_rate"):
    return [{name: value} for value in values]


def read(search, **options):
    return LearningRateDisplay.from_search(search, plot=False, **options)


THREE = rates(0.001, 0.01, 0.1)
BUMP = [0.5, 0.9, 0.6]


# Which metric


@pytest.mark.parametrize(
    ("refit", "options", "values"),
    [
        ("f1", {}, [0.1, 0.2, 0.15]),
        ("f1", {"metric": "roc_auc"}, BUMP),
        (False, {"metric": "f1"}, [0.1, 0.2, 0.15]),
    ],
)
def test_of_several_metrics_refit_or_metric_chooses(refit, options, values):
    display = read(Search(THREE, refit, roc_auc=BUMP, f1=[0.1, 0.2, 0.15]), **options)
    assert_allclose(display.values, values)


@pytest.mark.parametrize("refit", [False, max])
def test_several_metrics_and_no_choice(refit):
    search = Search(THREE, refit, accuracy=BUMP, roc_auc=BUMP)
    with pytest.raises(ValueError, match=r"choose metric='accuracy' or metric='roc_auc'\.$"):
        read(search)


def test_an_unknown_metric():
    search = Search(THREE, "roc_auc", accuracy=BUMP, roc_auc=BUMP)
    match = r"has no 'mean_test_f1': choose metric='accuracy' or metric='roc_auc'\.$"
    with pytest.raises(ValueError, match=match):
        read(search, metric="f1")


@pytest.mark.parametrize("refit", [False, "accuracy"])
@pytest.mark.parametrize("metric", ["score", "accuracy"])
def test_a_single_metric_needs_no_choice(refit, metric):
    assert_allclose(read(Search(THREE, refit, **{metric: BUMP})).values, BUMP)


@pytest.mark.parametrize("metric", ["a", "b_test_a", "b.test_a"])
def test_metrics_whose_names_share_an_ending_are_kept_apart(metric):
    means = {"a": BUMP, "b_test_a": [-3, -1, -2], "b.test_a": [-6, -4, -5], "split0_test_a": BUMP}
    display = read(Search(THREE, metric, **means))
    assert_allclose(display.values, means[metric])
    assert_allclose(display.spread, 0.01 / np.sqrt(2))


@pytest.mark.parametrize(
    ("scoring", "metric", "name"),
    [
        (None, "score", "score"),
        (max, "score", "score"),
        ("roc_auc_ovr", "score", "roc_auc_ovr"),
        (["accuracy", "f1"], "f1", "f1"),
        ({"mine": "f1"}, "mine", "mine"),
    ],
)
def test_values_are_named_after_what_was_scored(scoring, metric, name):
    display = read(Search(THREE, metric, scoring, **{metric: BUMP}))
    assert display.value_name == f"mean cross-validated {name}"


# Which parameter


@pytest.mark.parametrize(
    ("candidates", "options", "match"),
    [
        (
            rates(1, 2, 3, name="alpha"),
            {},
            r"must have tried numbers.*set param_name to one of \['alpha'\]",
        ),
        (THREE, {"param_name": "alpha"}, r"no 'param_alpha': choose param_name='learning_rate'\."),
        (rates("cosine", "constant", "cosine"), {}, r"tried as 'cosine', 'constant'\. Search num"),
        (rates("auto", "auto", None, name="learning_rate_init"), {}, "tried as 'auto', None"),
        (rates("cosine", Cosine(), True), {"param_name": "learning_rate"}, r"Cosine\(.*True\. Sea"),
        (
            [{"learning_rate": 1.0}, {"net__learning_rate_init": 1.0}, {"learning_rate": 2.0}],
            {},
            "choose param_name='learning_rate' or param_name='net__learning_rate_init'",
        ),
    ],
    ids=["other", "not searched", "names", "auto", "objects", "both"],
)
def test_no_telling_which_is_the_rate(candidates, options, match):
    with pytest.raises(ValueError, match=match):
        read(Search(candidates, score=BUMP), **options)


def test_many_names_are_not_all_told():
    names = ["constant", "adaptive", "cosine", "one_cycle", "coslog4"]
    with pytest.raises(ValueError, match=r"'constant', 'adaptive', 'cosine', \.\.\.\."):
        read(Search(rates(*names), score=[1] * 5))


def test_no_score_at_all():
    with pytest.raises(ValueError, match=r"No candidate .*error_score='raise'.*to see the error"):
        read(Search(THREE, score=[np.nan] * 3))


# In whatever order


def test_rates_in_any_order_are_read_in_theirs():
    candidates = [
        {"learning_rate": rate, "alpha": alpha}
        for rate, alpha in [(0.1, 3), (1e-4, 4), (1.0, 1), (0.01, 5), (1e-3, 9)]
    ]
    display = read(Search(candidates, score=[0.9, 0.5, 0.899, 0.91, 0.7]))
    assert_allclose(display.rates, [1e-4, 1e-3, 0.01, 0.1, 1])
    assert_allclose(display.values, [0.5, 0.7, 0.91, 0.9, 0.899])
    assert [params["alpha"] for params in display.params] == [4, 9, 5, 3, 1]
    # Within a standard error of 0.01 / sqrt(2) are neither 0.9 nor 0.899.
    assert display.interval == (0.01, 0.01)
    display = read(Search(candidates, score=[0.9, 0.5, 0.899, 0.905, 0.7]))
    assert display.interval == (0.01, 1.0)
    assert display.recommended == pytest.approx(0.1)


@pytest.mark.filterwarnings("ignore:.*Widen the grid:UserWarning")
@pytest.mark.parametrize("kind", [LockstepRandomizedSearchCV, RandomizedSearchCV])
def test_reads_a_random_search(kind):
    net = BackpropClassifier(max_iter=10, random_state=0)
    space = {"learning_rate_init": loguniform(1e-4, 1), "alpha": loguniform(1e-6, 1)}
    search = kind(net, space, n_iter=9, cv=3, random_state=0).fit(*load_iris(return_X_y=True))
    drawn = np.array([params["learning_rate_init"] for params in search.cv_results_["params"]])
    order = drawn.argsort()
    assert (np.diff(drawn) < 0).any()
    display = read(search)
    assert_allclose(display.rates, drawn[order])
    assert_allclose(display.values, search.cv_results_["mean_test_score"][order])
    assert_allclose(display.spread, search.cv_results_["std_test_score"][order] / np.sqrt(3))
    assert display.params == [
        {"alpha": search.cv_results_["params"][place]["alpha"]} for place in order
    ]
    low, high = display.interval
    assert low <= search.best_params_["learning_rate_init"] <= high


# What is left out


@pytest.mark.parametrize(
    ("fourth", "score", "match"),
    [
        ({"learning_rate": "cosine"}, 0.8, r"learning_rate='cosine' \(not a number\)\.$"),
        ({"learning_rate": 1.0}, np.nan, r"learning_rate=1 \(no finite score\)\.$"),
        ({"learning_rate": 1.0}, -np.inf, r"learning_rate=1 \(no finite score\)\.$"),
        ({"alpha": 1.0}, 0.8, r": candidates that do not set learning_rate\.$"),
        (
            {"learning_rate": "cosine"},
            0.95,
            r"not a number\)\. The best score of all, 0\.95, is that of learning_rate='cosine'\.$",
        ),
    ],
    ids=["name", "failed", "infinite", "another grid", "best"],
)
def test_what_is_left_out_is_said(fourth, score, match):
    search = Search([*THREE, fourth], score=[*BUMP, score])
    with pytest.warns(UserWarning, match=match) as caught:
        display = read(search)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert_allclose(display.rates, [0.001, 0.01, 0.1])
    assert_allclose(display.values, BUMP)


def test_what_is_left_out_is_said_once():
    candidates = [
        {"learning_rate": rate, "alpha": alpha, "random_state": seed}
        for rate in ("cosine", 0.001, 0.01, 1.0)
        for alpha in (0, 1)
        for seed in (0, 1)
    ]
    scores = [0.5, np.nan, 0.5, 0.5] + [0.6] * 4 + [0.9] * 4 + [0.7, 0.7, 0.8, np.nan]
    match = r": learning_rate='cosine' \(not a number\), learning_rate=1 \(no finite score\)\.$"
    with pytest.warns(UserWarning, match=match):
        display = read(Search(candidates, score=scores))
    # The rate has another candidate, which did not fail.
    assert_allclose(display.rates, [0.001, 0.01, 1])
    assert display.params[2] == {"alpha": 0}


def test_reads_a_search_that_has_all_of_it():
    net = BackpropClassifier(max_iter=3, random_state=0)
    grid = {"learning_rate_init": ["auto", 0.001, 0.01, 0.1]}
    scoring = {"a": "accuracy", "b_test_a": "neg_log_loss"}
    search = GridSearchCV(net, grid, cv=3, scoring=scoring, refit="a")
    search.fit(*load_iris(return_X_y=True))
    with pytest.warns(UserWarning, match="learning_rate_init='auto'"):
        display = read(search)
    assert_allclose(display.values, search.cv_results_["mean_test_a"][1:])
    assert_allclose(display.spread, search.cv_results_["std_test_a"][1:] / np.sqrt(3))
