"""LearningRateDisplay: what it reads from searches and range tests, and that it draws it."""

import builtins
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from bpestimator import (
    BackpropClassifier,
    BackpropRegressor,
    LearningRateDisplay,
    LockstepGridSearchCV,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RATES = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 10.0]


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


@pytest.mark.parametrize(
    "unfitted", [BackpropClassifier(), GridSearchCV(BackpropClassifier(), {})], ids=repr
)
def test_what_is_no_fitted_search_is_an_error(unfitted):
    with pytest.raises(NotFittedError, match=r"takes a search.*fit first"):
        LearningRateDisplay.from_search(unfitted)


class Search:
    """Looks like a fitted search whose scores have these means and standard deviations."""

    def __init__(self, means, stds, n_splits=4, name="learning_rate", metric="score"):
        n, means, stds = len(means), np.array(means), np.array(stds)
        self.refit = True
        self.cv_results_ = {
            f"param_{name}": np.ma.array(RATES[:n]),
            "params": [{name: rate} for rate in RATES[:n]],
            f"mean_test_{metric}": means,
            f"std_test_{metric}": stds,
            **{f"split{k}_test_{metric}": means + (-1) ** k * stds for k in range(n_splits)},
        }


def iris_search(kind=LockstepGridSearchCV):
    X, y = load_iris(return_X_y=True)
    net = BackpropClassifier(max_iter=15, random_state=0)
    model = make_pipeline(StandardScaler(), net)
    grid = {"backpropclassifier__learning_rate_init": RATES, "backpropclassifier__alpha": [0, 1]}
    return kind(model, grid, cv=3).fit(X, y)


# From a search


def test_the_plateau_is_within_one_standard_error_of_the_best():
    # The standard error of the best is 0.04 / sqrt(4) = 0.02.
    search = Search([0.5, 0.79, 0.8, 0.785, 0.6, 0.79], [0.04] * 6)
    display = LearningRateDisplay.from_search(search, plot=False)
    assert display.interval == (1e-4, 1e-2)
    assert_allclose(display.recommended, 1e-3)
    assert_allclose(display.spread, 0.02)
    # The last is as good, but the one between is not.
    assert display.interval[1] < 10


@pytest.mark.parametrize(
    ("scores", "side"), [([0.9, 0.8, 0.7], "lowest"), ([0.7, 0.8, 0.9], "highest")]
)
def test_a_best_rate_at_an_end_is_warned_of(scores, side):
    with pytest.warns(UserWarning, match=f"the {side} that was searched.*Widen the grid"):
        LearningRateDisplay.from_search(Search(scores, [0.01] * 3), plot=False)


def test_a_best_rate_inside_is_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LearningRateDisplay.from_search(Search([0.7, 0.9, 0.8], [0.01] * 3), plot=False)


@pytest.mark.parametrize("kind", [LockstepGridSearchCV, GridSearchCV])
def test_each_rate_has_the_score_of_its_best_candidate(kind):
    search = iris_search(kind)
    display = LearningRateDisplay.from_search(search, plot=False)
    means = search.cv_results_["mean_test_score"].reshape(2, -1)  # alpha by rate
    assert_allclose(display.values, means.max(axis=0))
    alphas = [params["backpropclassifier__alpha"] for params in display.params]
    assert alphas == means.argmax(axis=0).tolist()
    assert all(len(params) == 1 for params in display.params)


def test_seeds_count_as_one_candidate():
    X, y = load_iris(return_X_y=True)
    grid = {"learning_rate": RATES, "alpha": [0, 3], "random_state": [0, 1, 2]}
    search = LockstepGridSearchCV(BackpropClassifier(max_iter=10), grid, cv=3).fit(X, y)
    display = LearningRateDisplay.from_search(search, plot=False)
    of_all_seeds = search.cv_results_["mean_test_score"].reshape(2, len(RATES), 3).mean(axis=-1)
    assert_allclose(display.values, of_all_seeds.max(axis=0))
    assert [params["alpha"] for params in display.params] == [
        3 * k for k in of_all_seeds.argmax(axis=0)
    ]
    scores = np.array([search.cv_results_[f"split{k}_test_score"] for k in range(3)])
    best = scores.reshape(3, 2, len(RATES), 3)[:, of_all_seeds[:, 0].argmax(), 0]
    assert display.spread[0] == pytest.approx(best.std() / 3)  # nine scores
    assert_allclose(display.rates, RATES)


# From an estimator


@pytest.mark.parametrize(
    "net",
    [
        BackpropClassifier(random_state=0),
        make_pipeline(StandardScaler(), BackpropClassifier(random_state=0, batch_size=16)),
        BackpropClassifier(random_state=0, class_weight="balanced", early_stopping=True),
        BackpropClassifier(random_state=0, learning_rate="one_cycle", solver="sgd"),
    ],
    ids=["plain", "pipeline", "weights", "sgd"],
)
def test_range_test_of_a_classifier(net):
    X, y = load_iris(return_X_y=True)
    before = repr(net)
    display = LearningRateDisplay.from_estimator(net, X, y, plot=False)
    low, high = display.interval
    assert 1e-6 <= low <= display.recommended <= high < 10
    assert display.diverged_from is None or high < display.diverged_from
    assert repr(net) == before
    again = LearningRateDisplay.from_estimator(net, X, y, plot=False)
    assert_allclose(again.values, display.values)


def test_range_test_sees_the_data_as_the_network_would():
    X, y = load_diabetes(return_X_y=True)
    net = BackpropRegressor(random_state=0)
    inner = LearningRateDisplay.from_estimator(net, scale(X), scale(y), plot=False)
    wrapped = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), net), transformer=StandardScaler()
    )
    outer = LearningRateDisplay.from_estimator(wrapped, X, y, plot=False)
    assert_allclose(outer.values, inner.values, rtol=1e-6)

    class Special(Pipeline):
        pass

    special = Special([("scale", StandardScaler()), ("net", net)])
    outer = LearningRateDisplay.from_estimator(special, X, scale(y), plot=False)
    assert_allclose(outer.values, inner.values, rtol=1e-6)


def test_range_test_of_a_regressor_ends_where_it_diverges():
    X, y = load_diabetes(return_X_y=True)
    net = BackpropRegressor(solver="sgd", random_state=0)
    display = LearningRateDisplay.from_estimator(net, X, y, plot=False)
    assert display.diverged_from == display.rates[-1] < 10
    assert display.interval[1] < display.diverged_from
    # At the recommended rate training gets somewhere; where it diverges, nowhere.
    scores = [
        BackpropRegressor(solver="sgd", random_state=0, learning_rate=rate).fit(X, y).score(X, y)
        for rate in (display.recommended, display.recommended / 1e4)
    ]
    assert scores[0] > scores[1]


@pytest.mark.parametrize(
    ("net", "options", "error", "match"),
    [
        (LogisticRegression(), {}, TypeError, "takes a BackpropClassifier"),
        (BackpropClassifier(solver="lbfgs"), {}, ValueError, "has no learning rate"),
        (BackpropClassifier(), {"low": 1, "high": 0.1}, ValueError, "must rise from above 0"),
        (BackpropClassifier(), {"n_steps": 3}, ValueError, "at least 10"),
    ],
)
def test_what_cannot_be_tested_is_refused(net, options, error, match):
    with pytest.raises(error, match=match):
        LearningRateDisplay.from_estimator(net, *load_iris(return_X_y=True), **options)


# Pictures


def test_draws_a_search(pyplot):
    display = LearningRateDisplay.from_search(iris_search())
    assert display.ax_.get_xscale() == "log"
    assert display.figure_ is display.ax_.figure
    assert_allclose(display.line_.get_ydata(), display.values)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert any(f"recommended: {display.recommended:.2g}" in label for label in labels)


def test_draws_a_range_test_on_given_axes(pyplot):
    X, y = load_iris(return_X_y=True)
    _, ax = pyplot.subplots()
    net = BackpropClassifier(random_state=0)
    display = LearningRateDisplay.from_estimator(net, X, y, ax=ax, color="k")
    assert display.ax_ is ax
    assert display.line_.get_color() == "k"
    assert display.plot().ax_ is not ax


@pytest.mark.parametrize(
    ("means", "label"),
    [
        ([0.5, 0.79, 0.8, 0.785, 0.6], "within 1 standard error of the best: 0.0001 to 0.01"),
        ([0.5, 0.6, 0.8, 0.6, 0.5], "within 1 standard error of the best: only 0.001"),
    ],
)
def test_the_legend_tells_the_plateau(pyplot, means, label):
    display = LearningRateDisplay.from_search(Search(means, [0.04] * 5))
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert label in labels


def test_a_plateau_of_one_rate_can_be_seen(pyplot):
    display = LearningRateDisplay.from_search(Search([0.5, 0.6, 0.8, 0.6, 0.5], [0.01] * 5))
    (strip,) = [line for line in display.ax_.lines if "only" in line.get_label()]
    assert set(strip.get_xdata()) == {1e-3}
    widths = {line.get_label(): line.get_linewidth() for line in display.ax_.lines}
    assert strip.get_linewidth() > 4 * widths["recommended: 0.001"]


@pytest.mark.parametrize(
    ("means", "hidden"),
    [
        ([0.5, 0.79, 0.8, -1e9], [3]),
        ([-3.0, 0.79, -1e20, -1e12], [2, 3]),
        ([-3000.0, -2800.0, -5000.0, -1e6], [3]),
        ([0.8, 0.79, -1e9, -2e9], [2, 3]),
        ([0.0, 0.0, -1.0, -1e5], [3]),
        ([0.5, 0.79, 0.8, -4.0], []),  # bad, but can be shown
        ([-0.8, -0.2, -0.0006, -0.0002], []),  # too low rates are no disaster
        ([-0.7, -0.18, -0.0002, -0.19], []),
        ([0.0, -1e-16, -0.3, -0.3], []),
        ([0.2, 0.2, 0.2, 0.2], []),
    ],
)
def test_rates_far_below_do_not_dwarf_the_others(pyplot, means, hidden):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a best rate at an end
        display = LearningRateDisplay.from_search(Search(means, [0.01] * 4))
    shown = np.isfinite(display.line_.get_ydata())
    assert np.flatnonzero(~shown).tolist() == hidden
    bottom, top = display.ax_.get_ylim()
    assert top - bottom < 10 * max(np.ptp(display.values[shown]), 0.1)
    marks = [line for line in display.ax_.lines if "far below" in line.get_label()]
    assert len(marks) == bool(hidden)
    for mark in marks:
        assert_allclose(mark.get_xdata(), display.rates[hidden])
        assert all(f"{rate:.2g}" in mark.get_label() for rate in display.rates[hidden])


def test_axes_may_show_several_searches(pyplot):
    first = LearningRateDisplay.from_search(Search([0.5, 0.8, 0.7, -1e9], [0.01] * 4))
    LearningRateDisplay.from_search(Search([0.1, 0.3, 0.2, 0.1], [0.01] * 4), ax=first.ax_)
    bottom, top = first.ax_.get_ylim()
    assert -1 < bottom < 0.1 < 0.8 < top < 2


def test_a_range_test_that_ends_too_early_is_warned_of():
    X, y = load_iris(return_X_y=True)
    net = BackpropClassifier(random_state=0)
    with pytest.warns(UserWarning, match="still falling at the last rate of the test, high=0.001"):
        LearningRateDisplay.from_estimator(net, X, y, low=1e-5, high=1e-3, plot=False)


def test_axes_are_named_after_the_score(pyplot):
    search = Search([0.5, 0.8, 0.6], [0.01] * 3)
    search.scoring = "roc_auc_ovr"
    display = LearningRateDisplay.from_search(search)
    assert display.ax_.get_ylabel() == "mean cross-validated roc_auc_ovr"


def test_prints_what_it_found():
    display = LearningRateDisplay.from_search(
        Search([0.5, 0.79, 0.8, 0.785, 0.6], [0.04] * 5), plot=False
    )
    assert repr(display) == "LearningRateDisplay(recommended=0.001, interval=(0.0001, 0.01))"


# Keywords


@pytest.mark.parametrize("plot", [True, False])
@pytest.mark.parametrize(
    ("method", "keyword", "match"),
    [
        ("from_estimator", "min_rate", r"low, high, n_steps, plot, ax, and .*Got 'min_rate'\."),
        ("from_estimator", "n_step", r"Got 'n_step'\. Did you mean 'n_steps'\?"),
        ("from_estimator", "sample_weights", "Did you mean 'sample_weight'"),
        ("from_search", "metrics", r"param_name, metric, .*Did you mean 'metric'\?"),
        ("from_search", "colour", r"Did you mean 'color'\?"),
    ],
)
def test_a_keyword_that_nobody_takes_is_refused_at_once(method, keyword, match, plot):
    # None is no estimator and no search, which would be said next.
    data = [None] * (3 if method == "from_estimator" else 1)
    with pytest.raises(TypeError, match=f"LearningRateDisplay.{method} takes .*{match}"):
        getattr(LearningRateDisplay, method)(*data, plot=plot, **{keyword: 1})


def test_plot_refuses_what_the_line_does_not_take(pyplot):
    display = LearningRateDisplay.from_search(Search([0.5, 0.8, 0.6], [0.01] * 3), plot=False)
    with pytest.raises(TypeError, match=r"plot takes ax, .*Got 'lable'\. Did you mean 'label'\?"):
        display.plot(lable="rates")
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("color", "k"), ("c", "k"), ("lw", 3), ("marker", "s"), ("label", "mine"), ("zorder", 9)],
)
def test_properties_of_the_line_reach_it(pyplot, keyword, value):
    search = Search([0.5, 0.8, 0.6], [0.01] * 3)
    line = LearningRateDisplay.from_search(search, **{keyword: value}).line_
    assert pyplot.getp(line, keyword) == value


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    display = LearningRateDisplay.from_search(Search([0.7, 0.9, 0.8], [0.01] * 3), plot=False)
    with pytest.raises(ImportError, match=r"pip install \"bpestimator\[plot\]\""):
        display.plot()
