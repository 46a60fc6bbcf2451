"""scikit-learn's own callbacks, alone, in pipelines and in searches."""

import pickle
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bpestimator import BackpropClassifier, BackpropRegressor, LockstepGridSearchCV

from data import FitCounts, count_lockstep_fits

try:
    from sklearn.callback import FitCallback, ProgressBar, ScoringMonitor
except ImportError:
    FitCallback = None

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
needs_callbacks = pytest.mark.skipif(FitCallback is None, reason="needs scikit-learn 1.9")
RNG = np.random.RandomState(0)
X = RNG.normal(size=(90, 4))
Y = np.array(["a", "b", "c"])[np.argmax(X[:, :3], axis=1)]
SOLVERS = ["adam", "lbfgs"]


def classifier(**params):
    return BackpropClassifier((6,), **({"max_iter": 7, "random_state": 0} | params))


class Recorder:
    """Writes down every call of its hooks."""

    def __init__(self, stop_after=None, fail_in=None):
        self.stop_after, self.fail_in, self.calls, self.models = stop_after, fail_in, [], []

    def _note(self, hook, context):
        self.calls.append((hook, context.task_name))
        if self.fail_in == (hook, context.task_name):
            raise RuntimeError("the callback failed")

    def setup(self, estimator, context):
        self._note("setup", context)

    def teardown(self, estimator, context):
        self._note("teardown", context)

    def on_fit_task_begin(self, estimator, context, *, X, y, metadata):
        self._note("begin", context)

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self._note("end", context)
        self.metadata = metadata
        if fitted_estimator is not None:
            apply = getattr(fitted_estimator, "predict", None) or fitted_estimator.transform
            self.models.append((apply(X), fitted_estimator))
            return len(self.models) == self.stop_after
        return False


@pytest.mark.skipif(FitCallback is not None, reason="scikit-learn has callbacks")
def test_older_versions_have_nothing_to_set():
    assert not hasattr(classifier(), "set_callbacks")
    assert classifier().fit(X, Y).n_iter_ == 7


@needs_callbacks
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_hook_in_its_order(solver):
    callback = Recorder()
    est = classifier(solver=solver).set_callbacks(callback).fit(X, Y)
    task = "epoch" if solver == "adam" else "iteration"
    inner = [("begin", task), ("end", task)] * 7
    expected = [("setup", "fit"), ("begin", "fit"), *inner, ("end", "fit"), ("teardown", "fit")]
    assert callback.calls == expected
    plain = classifier(solver=solver).fit(X, Y)
    for a, b in zip(est.coefs_, plain.coefs_, strict=True):
        assert_array_equal(a, b)


@needs_callbacks
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_fitted_estimator_is_what_a_shorter_fit_would_give(solver):
    callback = Recorder()
    est = classifier(solver=solver).set_callbacks(callback).fit(X, Y)
    for n_iter, (predicted, model) in enumerate(callback.models, start=1):
        shorter = classifier(solver=solver, max_iter=n_iter).fit(X, Y)
        assert_array_equal(predicted, shorter.predict(X))
        # Still so after training has gone on.
        np.testing.assert_allclose(model.predict_proba(X), shorter.predict_proba(X), atol=1e-12)
        assert model.n_iter_ == n_iter
        assert list(model.classes_) == ["a", "b", "c"]
    assert_array_equal(callback.models[-1][1].predict(X), est.predict(X))


@needs_callbacks
def test_the_fitted_estimator_under_early_stopping_is_the_best_so_far():
    callback = Recorder()
    params = {"early_stopping": True, "max_iter": 60, "learning_rate": 0.3, "n_iter_no_change": 60}
    est = classifier(**params).set_callbacks(callback).fit(X, Y)
    assert_array_equal(callback.models[-1][0], est.predict(X))


@needs_callbacks
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_callback_that_returns_true_stops_the_fit(solver):
    callback = Recorder(stop_after=3)
    est = classifier(solver=solver).set_callbacks(callback).fit(X, Y)
    assert est.n_iter_ == 3
    assert est.stop_reason_.startswith("callback: A callback asked to stop after 3 ")
    assert callback.calls[-1] == ("teardown", "fit")
    shorter = classifier(solver=solver, max_iter=3).fit(X, Y)
    np.testing.assert_allclose(est.predict_proba(X), shorter.predict_proba(X), atol=1e-12)


@needs_callbacks
@pytest.mark.parametrize("hook", ["begin", "end"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_failing_callback_is_torn_down_and_leaves_the_model_as_it_was(solver, hook):
    est = classifier(solver=solver).fit(X, Y)
    before = pickle.dumps(est.coefs_)
    callback = Recorder(fail_in=(hook, "epoch" if solver == "adam" else "iteration"))
    with pytest.raises(RuntimeError, match="the callback failed"):
        est.set_callbacks(callback).fit(X, Y)
    assert callback.calls[-1] == ("teardown", "fit")
    assert pickle.dumps(est.coefs_) == before
    assert not [name for name in vars(est) if "callback_fit_ctx" in name]
    est.set_callbacks().fit(X, Y)


@needs_callbacks
def test_bad_data_tear_callbacks_down_too():
    callback = Recorder()
    with pytest.raises(ValueError, match="NaN"):
        classifier().set_callbacks(callback).fit(X * np.nan, Y)
    assert callback.calls[-1] == ("teardown", "fit")


@needs_callbacks
def test_weights_are_metadata():
    callback, weight = Recorder(), np.ones(90)
    classifier().set_callbacks(callback).fit(X, Y, weight)
    assert callback.metadata["sample_weight"] is weight


@needs_callbacks
@pytest.mark.parametrize("solver", SOLVERS)
def test_without_weights_there_is_no_metadata(solver):
    callback = Recorder()
    classifier(solver=solver).set_callbacks(callback).fit(X, Y)
    assert callback.metadata is None


@needs_callbacks
@pytest.mark.parametrize("place", [0, 1], ids=["first step", "network"])
def test_a_search_lets_the_callbacks_of_a_step_follow_every_fit(place):
    grid = {"backpropclassifier__alpha": [0.0, 0.1, 1.0]}
    calls = []
    for kind in (LockstepGridSearchCV, GridSearchCV):
        callback = Recorder()
        pipe = make_pipeline(StandardScaler(), classifier())
        pipe[place].set_callbacks(callback)
        search = kind(pipe, grid, cv=3, refit=False)
        with count_lockstep_fits() as counts:
            search.fit(X, Y)
        assert counts == FitCounts(together=0, alone=9)
        calls.append(callback.calls)
    assert calls[0] == calls[1]
    assert calls[0].count(("end", "fit")) == 9


@needs_callbacks
def test_partial_fit_is_told_of_too():
    callback = Recorder()
    est = classifier().set_callbacks(callback)
    for _ in range(2):
        est.partial_fit(X, Y, classes=["a", "b", "c"])
    assert callback.calls.count(("end", "epoch")) == 2
    assert callback.calls.count(("teardown", "fit")) == 2


@needs_callbacks
@pytest.mark.parametrize("solver", SOLVERS)
def test_scoring_monitor_alone(solver):
    listener = ScoringMonitor(scoring="accuracy")
    est = classifier(solver=solver).set_callbacks(listener).fit(X, Y)
    log = listener.get_logs().data_as_pandas
    assert len(log) == 7
    assert log["accuracy"].iloc[-1] == accuracy_score(Y, est.predict(X))


@needs_callbacks
def test_scoring_monitor_on_frames_in_a_pipeline():
    frame = pd.DataFrame(X, columns=list("abcd"))
    listener = ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    est = classifier().set_callbacks(listener)
    make_pipeline(StandardScaler().set_output(transform="pandas"), est).fit(frame, Y)
    log = listener.get_logs().data_as_pandas
    assert len(log) == 7
    assert (np.diff(log["neg_log_loss"]) > 0).all()


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_scoring_monitor_inside_a_search(n_jobs):
    listener = ScoringMonitor(scoring="accuracy")
    est = classifier().set_callbacks(listener)
    grid = {"learning_rate": [1e-3, 1e-2]}
    search = GridSearchCV(est, grid, cv=3, n_jobs=n_jobs, refit=True).fit(X, Y)
    deadline = time.monotonic() + 20
    while len(listener.get_logs().data) < 7 * 7 and time.monotonic() < deadline:
        time.sleep(0.05)  # what other processes have to say may be on its way
    log = listener.get_logs().data_as_pandas
    assert len(log) == 7 * 7
    assert log["accuracy"].iloc[-7:].max() >= search.best_estimator_.score(X, Y) - 0.2


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar_everywhere(n_jobs, capsys):
    pytest.importorskip("rich")
    classifier().set_callbacks(ProgressBar()).fit(X, Y)
    alone = capsys.readouterr().out
    assert "BackpropClassifier - fit" in alone
    assert "100%" in alone
    pipeline = make_pipeline(StandardScaler(), classifier())
    grid = {"backpropclassifier__learning_rate": [1e-3, 1e-2]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, Y)
    told = capsys.readouterr().out
    assert "GridSearchCV - fit" in told
    assert "BackpropClassifier" in told


@needs_callbacks
def test_regressors_have_them_too():
    listener = ScoringMonitor(scoring="r2")
    est = BackpropRegressor(hidden_layer_sizes=(5,), max_iter=4).set_callbacks(listener)
    est.fit(X, X[:, :2])
    assert len(listener.get_logs().data) == 4
    assert clone(est).fit(X, X[:, 0]).n_iter_ == 4


@needs_callbacks
def test_what_is_no_callback():
    with pytest.raises(TypeError, match="FitCallback protocol"):
        classifier().set_callbacks(print)


@needs_callbacks
def test_splits_from_a_generator():
    est = classifier().set_callbacks(Recorder())
    search = LockstepGridSearchCV(est, {"alpha": [0.0, 1.0]}, cv=KFold(3).split(X))
    assert search.fit(X, Y).n_splits_ == 3


@needs_callbacks
@pytest.mark.parametrize(
    "hook",
    [("setup", "fit"), ("begin", "epoch"), ("end", "epoch"), ("end", "fit"), ("teardown", "fit")],
    ids=str,
)
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_a_hook_that_raises_leaves_the_model_as_it_was(hook, call):
    X, y = np.random.default_rng(0).normal(size=(30, 3)), np.arange(30.0)
    est = BackpropRegressor(max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        est.fit(X, y)
        est.set_callbacks(Recorder(fail_in=hook))
        before = vars(est).copy()
        with pytest.raises(RuntimeError, match="the callback failed"):
            getattr(est, call)(X, -y)
    assert vars(est).keys() == before.keys()
    assert all(vars(est)[name] is value for name, value in before.items())
