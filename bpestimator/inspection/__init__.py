"""Inspection: displays of fitted searches and of range tests."""

from bpestimator.inspection.learning_rate import LearningRateDisplay

__all__ = ["LearningRateDisplay"]
