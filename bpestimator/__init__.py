"""Neural networks for scikit-learn users, with the maths written out by hand in NumPy."""

from bpestimator.estimators import BackpropClassifier, BackpropRegressor

__all__ = ["BackpropClassifier", "BackpropRegressor"]

__version__ = "0.1.0"
