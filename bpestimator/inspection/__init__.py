"""Inspection: pictures of what a network learns from, and how fast."""

from bpestimator.inspection.learning_rate import LearningRateDisplay

__all__ = ["LearningRateDisplay"]
