"""Model selection: scikit-learn's searches, whose models train at once."""

from bpestimator.model_selection.search import LockstepGridSearchCV, LockstepRandomizedSearchCV

__all__ = ["LockstepGridSearchCV", "LockstepRandomizedSearchCV"]
