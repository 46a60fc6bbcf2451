"""Model selection: scikit-learn's searches, whose candidates train in lockstep."""

from bpestimator.model_selection.search import LockstepGridSearchCV, LockstepRandomizedSearchCV

__all__ = ["LockstepGridSearchCV", "LockstepRandomizedSearchCV"]
