"""The face: what scikit-learn's users meet. The only place that imports scikit-learn."""

from bpestimator.estimators.classifier import BackpropClassifier
from bpestimator.estimators.regressor import BackpropRegressor

__all__ = ["BackpropClassifier", "BackpropRegressor"]
