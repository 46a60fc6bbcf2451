"""Parameters: check what the user has set, and resolve it into one frozen Settings object."""

from bpestimator.estimators.parameters.resolve import (
    activations_of,
    batch_size_of,
    hidden_sizes,
    loss_of,
    output_activation_of,
)
from bpestimator.estimators.parameters.settings import (
    ClassifierSettings,
    RegressorSettings,
    Settings,
    is_stochastic,
    stackable_parameters,
    start_parameters,
    stochastic_solvers,
)

__all__ = [
    "ClassifierSettings",
    "RegressorSettings",
    "Settings",
    "activations_of",
    "batch_size_of",
    "hidden_sizes",
    "is_stochastic",
    "loss_of",
    "output_activation_of",
    "stackable_parameters",
    "start_parameters",
    "stochastic_solvers",
]
