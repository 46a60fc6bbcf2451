"""What trains in lockstep, what goes alone, and what the search says of it."""

import os
from time import perf_counter

import numpy as np
import pytest
from joblib import parallel_backend
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bpestimator import LockstepGridSearchCV

from data import RATES, C, FitCounts, clf, count_lockstep_fits, iris, search_in_lockstep

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_only_the_last_fit_is_ordinary():
    search_in_lockstep(LockstepGridSearchCV(clf(), {"learning_rate": RATES}), *iris())


def test_single_candidates_and_seeds_train_ahead_too():
    X, y = iris()
    for grid in ({"hidden_layer_sizes": [(4,), (5,)]}, {"random_state": [0, 1]}):
        search_in_lockstep(LockstepGridSearchCV(clf(), grid, cv=3, refit=False), X, y)
    lengths = [(np.arange(n), np.arange(150)) for n in (90, 70, 90, 90, 71)]
    search = LockstepGridSearchCV(clf(), {"alpha": [1]}, cv=lengths, refit=False)
    search_in_lockstep(search, X, y)  # folds of other lengths, too: they have as many batches


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"solver": "lbfgs"}, "lbfgs"),
        ({"random_state": None}, "random_state=None is not an int"),
        ({"max_time": 100.0}, "max_time"),
        ({"hidden_layer_sizes": (700, 700)}, "Of these, after all, 6 alone: networks too large"),
        ({"learning_rate_init": "auto"}, "found in each fit"),
    ],
)
def test_what_goes_alone_says_why(params, reason, capsys):
    net = clf(max_iter=2).set_params(**params)
    search = LockstepGridSearchCV(net, {"alpha": [0.1, 0.2, 0.3]}, cv=2, verbose=1, refit=False)
    search_in_lockstep(search, *iris(), alone=6)
    assert reason in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_what_goes_alone_after_all_says_why(capsys):
    X, y = iris()
    X[0] = np.nan
    grid = [{"alpha": [0.1, 0.2, 0.3]}, {"hidden_layer_sizes": [(700, 700)]}]
    net = clf(max_iter=2)
    search = LockstepGridSearchCV(net, grid, cv=KFold(5), verbose=1, error_score=0.0, refit=False)
    search_in_lockstep(search, X, y, alone=17)
    out = capsys.readouterr().out
    assert "Of these, after all, 12 alone: its fit fails: Input X contains NaN.;" in out
    assert "; 5 alone: networks too large to gain" in out


def test_verbose_counts_groups_and_model_epochs(capsys):
    X, y = iris()
    grid = [{"learning_rate": RATES}, {"solver": ["lbfgs"]}]
    search_in_lockstep(LockstepGridSearchCV(clf(), grid, cv=2, verbose=1), X, y, alone=2)
    out = capsys.readouterr().out
    assert "Training 10 of 12 fits in lockstep, of one kind of network; 2 alone: solver=" in out
    LockstepGridSearchCV(clf(), grid, cv=2).fit(X, y)
    assert capsys.readouterr().out == ""


class Marking(StandardScaler):
    """Leaves a file named after each process it is fitted in."""

    def __init__(self, folder=None):
        super().__init__()
        self.folder = folder

    def fit(self, X, y=None, sample_weight=None):
        (self.folder / str(os.getpid())).touch()
        return super().fit(X, y)


@pytest.mark.parametrize(
    ("n_jobs", "backend"), [(None, "loky"), (1, "loky"), (2, "loky"), (2, "threading")]
)
def test_groups_train_in_other_processes_where_the_user_wants_some(n_jobs, backend, tmp_path):
    # It might train for long, so that it is worth a process.
    net = clf(max_iter=20_000, tol=1e9, n_iter_no_change=1)
    pipe = make_pipeline(Marking(tmp_path), net)
    search = LockstepGridSearchCV(pipe, {f"{C}alpha": [0, 0.1, 1.0]}, cv=4, refit=False)
    with parallel_backend(backend, n_jobs=1), count_lockstep_fits() as counts:
        search.set_params(n_jobs=n_jobs).fit(*iris())
    fitted_in = {path.name for path in tmp_path.iterdir()}
    if n_jobs == 2 and backend == "loky":
        assert counts == FitCounts(together=0, alone=0)
        assert fitted_in
        assert str(os.getpid()) not in fitted_in
    else:
        assert counts == FitCounts(together=12, alone=0)
        assert fitted_in == {str(os.getpid())}


def test_fit_times_are_shares_of_the_group():
    X, y = iris()
    search = LockstepGridSearchCV(clf(), {"learning_rate": RATES}, refit=False)
    start = perf_counter()
    times = search.fit(X, y).cv_results_["mean_fit_time"]
    elapsed = perf_counter() - start
    assert (times > 1e-4).all()
    assert 0.1 * elapsed < search.n_splits_ * times.sum() < elapsed
