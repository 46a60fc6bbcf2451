"""Searches in lockstep: scikit-learn's own, with the training done ahead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn import get_config
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, check_cv
from sklearn.utils.metadata_routing import process_routing

from bpestimator.estimators import check_ours, has_callbacks, wrapped_in
from bpestimator.model_selection._ahead import Data, Plan, plan, run
from bpestimator.model_selection._stand_in import Book, StandIn, Unwrapping, unwrapping


class _Splits:
    """A splitter whose latest splits train their candidates before anyone asks for a fit."""

    def __init__(self, splitter: Any, train_ahead: Any) -> None:
        self._splitter, self._train_ahead = splitter, train_ahead

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_splitter":
            raise AttributeError(name)
        return getattr(self._splitter, name)

    def __repr__(self) -> str:
        return repr(self._splitter)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_train_ahead": None}  # workers have nothing to train ahead

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def split(self, X: Any, y: Any = None, **params: Any) -> Any:
        splits = list(self._splitter.split(X, y, **params))
        if self._train_ahead is not None:
            self._train_ahead(X, y, [_numbers(train) for train, _ in splits])
        return splits

    def rest(self) -> None:
        """Split as ever from now on."""
        self._train_ahead = None


def _numbers(rows: Any) -> np.ndarray:
    """Rows by number, from numbers or a mask."""
    rows = np.asarray(rows)
    return np.flatnonzero(rows) if rows.dtype == bool else rows


class _InLockstep:
    """What both searches add to scikit-learn's: training ahead."""

    estimator: Any
    cv: Any
    scoring: Any
    n_jobs: Any
    verbose: int
    cv_results_: dict[str, Any]
    best_estimator_: Any
    scorer_: Any
    _candidates: list[dict[str, Any]] | None

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Try every candidate on every fold, and refit the best.

        Parameters
        ----------
        X : array-like, frame or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        **params : dict
            ``groups`` for the splitter, ``sample_weight``, and what else ``fit`` of the
            estimator takes.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If the estimator is neither ours nor one that wraps one of ours.
        """
        otherwise = " For any other estimator, use scikit-learn's own search."
        check_ours(self.estimator, type(self).__name__, otherwise)
        try:
            splitter = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        except Exception:  # scikit-learn will say so
            splitter = None
        followed = any(map(has_callbacks, [self, *_parts_of(self.estimator)]))
        if followed and self.verbose:
            print("No fits train in lockstep: callbacks follow each of them.")
        if followed or splitter is None:
            return self._fit_one_by_one(splitter, X, y, params)
        if get_config()["enable_metadata_routing"]:
            fit_params = dict(process_routing(self, "fit", **params).estimator.fit)
        else:
            fit_params = {name: value for name, value in params.items() if name != "groups"}
        estimator, cv, scoring = self.estimator, self.cv, self.scoring
        book = Book()
        self._candidates = []
        seconds_ahead: list[np.ndarray] = []

        def train_ahead(X: Any, y: Any, folds: list[np.ndarray]) -> None:
            data = Data(X, y, {k: v for k, v in fit_params.items() if v is not None})
            n_jobs = _processes(self.n_jobs)
            candidates = self._candidates or []
            planned = plan(estimator, candidates, folds, data, n_jobs)
            if self.verbose:
                print(_announce(planned, len(candidates) * len(folds)))
            pairs, seconds, alone = run(
                planned.jobs, candidates, len(folds), data, n_jobs, self.verbose
            )
            seconds_ahead.append(seconds)
            if self.verbose and alone:
                print(f"Of these, after all, {_counted(alone)}.")
            book.fill(pairs)

        splits = _Splits(splitter, train_ahead)
        try:
            self.estimator, self.cv = StandIn(estimator, book), splits
            self.scoring = unwrapping(scoring)
            super().fit(X, y, **params)  # type: ignore[misc]
        finally:
            self.estimator, self.cv, self.scoring = estimator, cv, scoring
            splits.rest()
            del self._candidates
            if isinstance(getattr(self, "best_estimator_", None), StandIn):
                self.best_estimator_ = self.best_estimator_.wrapped
        self._count_time(np.concatenate(seconds_ahead))
        self._own_scorer()
        return self

    def _fit_one_by_one(self, splitter: Any, X: Any, y: Any, params: dict[str, Any]) -> Any:
        """Search as scikit-learn does; ``splitter`` is None if ``cv`` is not allowed."""
        cv = self.cv
        try:
            # Splits that come one by one, from a generator, are in the splitter now.
            self.cv = cv if splitter is None else splitter
            return super().fit(X, y, **params)  # type: ignore[misc]
        finally:
            self.cv = cv

    def _own_scorer(self) -> None:
        """Let ``scorer_`` name the user's estimator and functions rather than what stood in."""
        if self.scoring is None:
            self.scorer_ = check_scoring(self.estimator)
        elif isinstance(self.scorer_, Unwrapping):
            self.scorer_ = self.scorer_.function
        elif isinstance(self.scorer_, dict):
            self.scorer_ = {
                name: one.function if isinstance(one, Unwrapping) else one
                for name, one in self.scorer_.items()
            }

    def _run_search(self, evaluate_candidates: Any, *, callback_ctx: Any = None) -> None:
        def remember(candidates: Any, *args: Any, **kwargs: Any) -> Any:
            self._candidates = list(candidates)
            return evaluate_candidates(self._candidates, *args, **kwargs)

        following = {} if callback_ctx is None else {"callback_ctx": callback_ctx}
        ahead = getattr(self, "_candidates", None) is not None
        evaluate = remember if ahead else evaluate_candidates
        super()._run_search(evaluate, **following)  # type: ignore[misc]

    def _count_time(self, seconds: np.ndarray) -> None:
        """Let the fit times tell of each model's share of the training ahead."""
        ahead = ~np.isnan(seconds)
        some, share = ahead.any(axis=1), np.where(ahead, seconds, 0.0)
        results = self.cv_results_
        results["mean_fit_time"] = results["mean_fit_time"] + share.mean(axis=1)
        results["std_fit_time"] = np.where(some, share.std(axis=1), results["std_fit_time"])


def _parts_of(estimator: Any) -> Iterator[Any]:
    """The estimator and all in it, steps of Pipelines included."""
    for _, part in wrapped_in(estimator):
        yield part
        yield from (step for _, step in getattr(part, "steps", ())[:-1])


def _processes(n_jobs: Any) -> int:
    """How many processes train ahead.

    One where the user has chosen a backend other than joblib's default.
    """
    backend, _ = get_active_backend()
    return effective_n_jobs(n_jobs) if type(backend).__name__ == "LokyBackend" else 1


def _announce(planned: Plan, n_fits: int) -> str:
    """How the fits will be trained, in a sentence."""
    together = n_fits - planned.alone.total()
    kinds = len({tuple(job.numbers) for job in planned.jobs})
    of = f"of {kinds} kinds of network" if kinds > 1 else "of one kind of network"
    text = f"Training {together} of {n_fits} fits in lockstep{f', {of}' if together else ''}"
    return f"{text}; {_counted(planned.alone)}." if planned.alone else f"{text}."


def _counted(alone: Counter[str]) -> str:
    """How many fits go alone, for each reason."""
    return "; ".join(f"{count} alone: {reason}" for reason, count in alone.items())


class LockstepGridSearchCV(_InLockstep, GridSearchCV):
    """Exhaustive search over parameters, whose candidates train at once.

    The same scores as :class:`sklearn.model_selection.GridSearchCV`, split by split: each model
    is trained as if it were alone. Candidates that differ only in numbers (``learning_rate``,
    ``learning_rate_init``, ``alpha``, ``power_t``, ``momentum``, ``beta_1``, ``beta_2``,
    ``epsilon``, ``max_grad_norm``, ``dropout`` rates and ``label_smoothing`` above 0, numbers of
    a ``solver`` object) or in ``random_state`` train together, as one array, and so do folds of one
    length; any other difference makes another group. A model that stops leaves its group. What
    cannot train so is trained as ever, within the same search: 'lbfgs', a ``random_state`` that
    is no int, ``max_time``, ``verbose`` or callbacks of the estimator, networks too large to gain
    from it; ``verbose=1`` tells how many, and why.

    In a Pipeline, the steps before the last are fitted once per fold, setting of theirs and group;
    so is the transformer of a TransformedTargetRegressor. Candidates share them: scoring should
    leave them as they are.

    Parameters
    ----------
    estimator : BackpropClassifier or BackpropRegressor
        Or a Pipeline that ends in one, or a TransformedTargetRegressor of one or of the Pipeline.
    param_grid : dict or list of dict
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        As :class:`sklearn.model_selection.GridSearchCV` takes them. ``n_jobs`` shares groups
        among processes, then the scoring. Fit times are each model's share of its group's time.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, \
refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As those of :class:`sklearn.model_selection.GridSearchCV`.

    Notes
    -----
    Scores are equal to the bit in float64 where the BLAS library rounds a product of stacked
    matrices as it rounds each alone, as OpenBLAS does. Until its scores are taken, every
    trained model is kept: folds x candidates x 8 bytes x 4 per parameter.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from bpestimator import BackpropClassifier, LockstepGridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BackpropClassifier(tol=0.01, random_state=0)
    >>> search = LockstepGridSearchCV(clf, {"learning_rate": [1e-4, 1e-3, 1e-2]}).fit(X, y)
    >>> search.best_params_
    {'learning_rate': 0.01}
    """


class LockstepRandomizedSearchCV(_InLockstep, RandomizedSearchCV):
    """Search over parameters drawn at random, whose candidates train at once.

    The same draws and the same scores as :class:`sklearn.model_selection.RandomizedSearchCV`;
    see :class:`LockstepGridSearchCV` for what trains together.

    Parameters
    ----------
    estimator : BackpropClassifier or BackpropRegressor
        Or a Pipeline that ends in one, or a TransformedTargetRegressor of one or of the Pipeline.
    param_distributions : dict or list of dict
        Lists, or distributions such as ``scipy.stats.loguniform(1e-4, 1)``.
    n_iter, scoring, n_jobs, refit, cv, verbose, pre_dispatch, random_state, error_score, \
return_train_score
        As :class:`sklearn.model_selection.RandomizedSearchCV` takes them.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, \
refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As those of :class:`sklearn.model_selection.RandomizedSearchCV`.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from bpestimator import BackpropClassifier, LockstepRandomizedSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BackpropClassifier(tol=0.01, random_state=0)
    >>> rates = {"learning_rate": loguniform(1e-4, 1)}
    >>> search = LockstepRandomizedSearchCV(clf, rates, n_iter=6, random_state=0).fit(X, y)
    >>> float(search.best_score_) > 0.9
    True
    """
