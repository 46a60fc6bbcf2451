"""Targets: encode y as the numbers that a loss takes, and decode predictions."""

from bpestimator.estimators.targets.classes import ClassTargets, announced_classes, decode_classes
from bpestimator.estimators.targets.numbers import NumberTargets, pinball_score
from bpestimator.estimators.targets.targets import Targets
from bpestimator.estimators.targets.weights import check_class_weight_of_chunk, check_weights

__all__ = [
    "ClassTargets",
    "NumberTargets",
    "Targets",
    "announced_classes",
    "check_class_weight_of_chunk",
    "check_weights",
    "decode_classes",
    "pinball_score",
]
