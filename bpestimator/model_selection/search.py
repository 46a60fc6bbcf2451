"""Searches in lockstep: scikit-learn's searches, with fits that are made in advance."""

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

from bpestimator.estimators import has_callbacks
from bpestimator.lockstep import Data, Fitted, check_is_network, nested_in, network_of, plan, run
from bpestimator.model_selection._prefit import (
    Prefit,
    PrefitProxy,
    PrefitQueue,
    Unwrapping,
    unwrapping,
)
from bpestimator.model_selection._progress import model_epochs
from bpestimator.model_selection._requests import requests_of


class _Splits:
    """A splitter that calls ``prefit`` with its splits before it returns them to the search.

    Pickles of 0.1.0 refer to this name.
    """

    def __init__(self, splitter: Any, prefit: Any) -> None:
        self._splitter, self._prefit = splitter, prefit

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_splitter":
            raise AttributeError(name)
        return getattr(self._splitter, name)

    def __repr__(self) -> str:
        return repr(self._splitter)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_prefit": None}  # workers only split

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def split(self, X: Any, y: Any = None, **params: Any) -> Any:
        splits = list(self._splitter.split(X, y, **params))
        if self._prefit is not None:
            self._prefit(X, y, [train for train, _ in splits])
        return splits

    def stop_prefitting(self) -> None:
        """Stop calling ``prefit``."""
        self._prefit = None


class _LockstepSearch:
    """What both searches add to scikit-learn's: fits in lockstep, made in advance."""

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
            ``groups`` for the splitter, ``sample_weight``, and other arguments of the
            estimator's ``fit``.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If the estimator is neither a network of this package nor has one nested in it.
        """
        otherwise = " For any other estimator, use scikit-learn's own search."
        check_is_network(self.estimator, type(self).__name__, otherwise)
        try:
            splitter = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        except (TypeError, ValueError):  # scikit-learn's ``fit`` raises it again
            splitter = None
        has_hooks = any(map(has_callbacks, [self, *_parts_of(self.estimator)]))
        if has_hooks and self.verbose:
            print("No fits train in lockstep: callbacks are called for one fit at a time.")
        if has_hooks or splitter is None:
            return self._fit_one_by_one(splitter, X, y, params)
        if get_config()["enable_metadata_routing"]:
            fit_params = dict(process_routing(self, "fit", **params).estimator.fit)
        else:
            fit_params = {name: value for name, value in params.items() if name != "groups"}
        estimator, cv, scoring = self.estimator, self.cv, self.scoring
        queue = PrefitQueue()
        self._candidates = []
        seconds: list[np.ndarray] = []

        def prefit(X: Any, y: Any, folds: list[np.ndarray]) -> None:
            given_params = {name: value for name, value in fit_params.items() if value is not None}
            prefits, fit_seconds = self._prefit(estimator, Data(X, y), folds, given_params)
            seconds.append(fit_seconds)
            queue.fill(prefits)

        splits = _Splits(splitter, prefit)
        try:
            self.estimator, self.cv = PrefitProxy(estimator, queue), splits
            self.scoring = unwrapping(scoring)
            super().fit(X, y, **params)  # type: ignore[misc]
        finally:
            self.estimator, self.cv, self.scoring = estimator, cv, scoring
            splits.stop_prefitting()
            del self._candidates
            if isinstance(getattr(self, "best_estimator_", None), PrefitProxy):
                self.best_estimator_ = self.best_estimator_.wrapped
        self._add_fit_times(np.concatenate(seconds))
        self._unwrap_scorer()
        return self

    def _prefit(
        self,
        estimator: Any,
        data: Data,
        folds: list[np.ndarray],
        params: dict[str, Any],
    ) -> tuple[list[Prefit | None], np.ndarray]:
        """Fit, in advance, the candidates that can train in lockstep.

        Returns
        -------
        prefits : list of Prefit or None
            In the order of the search: candidate by candidate, fold by fold.
        seconds : ndarray of shape (candidates, folds)
            The training time of each fit; NaN for fits not made in advance.
        """
        candidates = self._candidates or []
        places, requests, alone = requests_of(estimator, candidates, folds, data, params)
        n_jobs = _processes(self.n_jobs)
        planned = plan(requests, n_jobs)
        if self.verbose:
            n_fits = len(candidates) * len(folds)
            print(
                _announcement(n_fits, planned.n_groups, Counter(alone.values()) + planned.reasons)
            )
        epochs = [int(network_of(request.estimator).max_iter) for request in requests]
        in_lockstep = [epochs[number] for job in planned.jobs for number in job]
        with model_epochs(sum(in_lockstep), shown=bool(self.verbose)) as progress:
            listener = progress.listener if self.verbose and n_jobs == 1 else None
            results = run(
                requests,
                planned,
                n_jobs,
                listener,
                lambda job: progress.finish(sum(epochs[number] for number in job)),
            )
        prefits: list[Prefit | None] = [None] * (len(candidates) * len(folds))
        seconds = np.full(len(prefits), np.nan)
        not_in_lockstep: Counter[str] = Counter()
        for number, (place, found) in enumerate(zip(places, results, strict=True)):
            if isinstance(found, Fitted):
                seconds[place] = found.seconds
                parameters = candidates[place // len(folds)]
                n_rows = requests[number].n_rows
                prefits[place] = Prefit(found.estimator, parameters, n_rows, found.warnings)
            elif number not in planned.alone:
                not_in_lockstep[found.reason] += 1
        if self.verbose and not_in_lockstep:
            print(f"Of these, after all, {_counts(not_in_lockstep)}.")
        return prefits, seconds.reshape(len(candidates), -1)

    def _fit_one_by_one(self, splitter: Any, X: Any, y: Any, params: dict[str, Any]) -> Any:
        """Search without lockstep; ``splitter`` is None if ``cv`` is not allowed."""
        cv = self.cv
        try:
            # The splitter now holds the splits if ``cv`` is a generator, which is used up.
            self.cv = cv if splitter is None else splitter
            return super().fit(X, y, **params)  # type: ignore[misc]
        finally:
            self.cv = cv

    def _unwrap_scorer(self) -> None:
        """Set ``scorer_`` to a scorer of the user's estimator rather than of the proxy."""
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

        callback_params = {} if callback_ctx is None else {"callback_ctx": callback_ctx}
        in_lockstep = getattr(self, "_candidates", None) is not None
        evaluate = remember if in_lockstep else evaluate_candidates
        super()._run_search(evaluate, **callback_params)  # type: ignore[misc]

    def _add_fit_times(self, seconds: np.ndarray) -> None:
        """Add each fit's share of the time in lockstep to the fit times."""
        made = ~np.isnan(seconds)
        some, share = made.any(axis=1), np.where(made, seconds, 0.0)
        results = self.cv_results_
        results["mean_fit_time"] = results["mean_fit_time"] + share.mean(axis=1)
        results["std_fit_time"] = np.where(some, share.std(axis=1), results["std_fit_time"])


def _parts_of(estimator: Any) -> Iterator[Any]:
    """The estimator and all estimators in it, including the steps of Pipelines."""
    for _, part in nested_in(estimator):
        yield part
        yield from (step for _, step in getattr(part, "steps", ())[:-1])


def _processes(n_jobs: Any) -> int:
    """The number of processes to train in.

    It is 1 if the user has chosen a backend other than joblib's default.
    """
    backend, _ = get_active_backend()
    return effective_n_jobs(n_jobs) if type(backend).__name__ == "LokyBackend" else 1


def _announcement(n_fits: int, n_groups: int, alone: Counter[str]) -> str:
    """How many fits train in lockstep, and why the others do not, in a sentence."""
    together = n_fits - alone.total()
    of = f"of {n_groups} kinds of network" if n_groups > 1 else "of one kind of network"
    text = f"Training {together} of {n_fits} fits in lockstep{f', {of}' if together else ''}"
    return f"{text}; {_counts(alone)}." if alone else f"{text}."


def _counts(alone: Counter[str]) -> str:
    """The number of fits that train alone, for each reason."""
    return "; ".join(f"{count} alone: {reason}" for reason, count in alone.items())


class LockstepGridSearchCV(_LockstepSearch, GridSearchCV):
    """Exhaustive search over parameters, whose candidates train in lockstep.

    The scores are those of :class:`sklearn.model_selection.GridSearchCV`, split by split: each
    model has the weights that it would have if it trained alone.

    Candidates train together, as one array, if they differ only in numbers or in ``random_state``.
    The numbers are ``learning_rate``, ``learning_rate_init``, ``alpha``, ``power_t``, ``momentum``,
    ``beta_1``, ``beta_2``, ``epsilon``, ``max_grad_norm``, ``dropout`` rates and
    ``label_smoothing`` above 0, and the numbers of a ``solver`` object. Folds with the same number
    of batches train together, too. Any other difference makes another group. A model that stops
    leaves its group.

    Some fits train one by one, in the same search: those with 'lbfgs', with a ``random_state`` that
    is not an int, with ``max_time``, with ``verbose`` or callbacks of the estimator, and networks
    too large to gain from lockstep. ``verbose=1`` prints how many, and why.

    The steps of a Pipeline before the network are fitted once for each fold, each setting of these
    steps and each group, and so is the transformer of a TransformedTargetRegressor. Candidates
    share the fitted steps, so scoring must not change them.

    Parameters
    ----------
    estimator : BackpropClassifier or BackpropRegressor
        Or a Pipeline that ends in one, or a TransformedTargetRegressor of one or of the Pipeline.
    param_grid : dict or list of dict
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        As :class:`sklearn.model_selection.GridSearchCV` takes them. ``n_jobs`` processes train the
        groups, and then compute the scores. The fit time of a model is an equal share of its
        group's time.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, \
refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As those of :class:`sklearn.model_selection.GridSearchCV`.

    Notes
    -----
    Scores are equal to the bit in float64 if the BLAS library rounds a product of stacked
    matrices as it rounds each product alone, as OpenBLAS does. Every trained model stays in memory
    until it is scored, which takes folds x candidates x parameters x 4 x 8 bytes.

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


class LockstepRandomizedSearchCV(_LockstepSearch, RandomizedSearchCV):
    """Search over parameters drawn at random, whose candidates train in lockstep.

    The draws and the scores are those of :class:`sklearn.model_selection.RandomizedSearchCV`. See
    :class:`LockstepGridSearchCV` for which candidates train together.

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
