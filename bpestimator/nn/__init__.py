"""The maths: what a network computes, and its gradient.

Words used throughout, each with one meaning:

raw
    The last layer's outputs before the output activation turns them into predictions.
delta
    d loss / d z of a layer, where z = a W + b is what enters its activation.
lead
    Leading axes of independent models. Parameters have shape ``lead + (P,)`` and
    activations ``lead + (batch, width)``; ``lead`` is ``()`` for one model, ``(K,)``
    for K models on the same rows, ``(folds, candidates)`` for cross-validation with
    inputs of shape ``(folds, 1, batch, features)``. Kernels use axes -1 and -2 only,
    so the same code serves all three.
width
    Units of a layer; ``fan_in`` and ``fan_out`` are the widths on either side of a weight.
terms
    The numbers that a loss keeps of each row during a step, so that its value can be computed
    later, for many batches at once.

Nothing here draws random numbers, prints, or knows scikit-learn.
"""

from bpestimator.nn.activations import (
    ACTIVATIONS,
    ELU,
    GELU,
    SELU,
    Activation,
    CustomActivation,
    Identity,
    LeakyReLU,
    Logistic,
    Mish,
    ReLU,
    SiLU,
    Softplus,
    Tanh,
)
from bpestimator.nn.classification_losses import (
    CLASSIFICATION_LOSSES,
    LOSSES,
    Focal,
    LogLoss,
)
from bpestimator.nn.initializers import (
    INITIALIZERS,
    Glorot,
    He,
    Initializer,
    LeCun,
    Orthogonal,
    initial_parameters,
)
from bpestimator.nn.kernels.products import SharedRows, SparseRows, rows_of
from bpestimator.nn.kernels.workspace import Workspace
from bpestimator.nn.losses import Loss, mean_loss
from bpestimator.nn.network import NetworkSpec, backward, forward
from bpestimator.nn.output_activations import (
    ALL_OUTPUT_ACTIVATIONS,
    OUTPUT_ACTIVATIONS,
    Exp,
    Increasing,
    Softmax,
)
from bpestimator.nn.parameters import Layout, Views, move
from bpestimator.nn.predict import CHUNK_ROWS, EXACT_ROWS, Predictor, predict
from bpestimator.nn.recording import call, play
from bpestimator.nn.regression_losses import (
    REGRESSION_LOSSES,
    AbsoluteError,
    CustomLoss,
    Gamma,
    Huber,
    LogCosh,
    Poisson,
    Quantile,
    SquaredError,
)

__all__ = [
    "ALL_OUTPUT_ACTIVATIONS",
    "ACTIVATIONS",
    "CHUNK_ROWS",
    "EXACT_ROWS",
    "CLASSIFICATION_LOSSES",
    "OUTPUT_ACTIVATIONS",
    "REGRESSION_LOSSES",
    "AbsoluteError",
    "CustomLoss",
    "Exp",
    "Focal",
    "Gamma",
    "Huber",
    "Increasing",
    "LogCosh",
    "LogLoss",
    "Poisson",
    "Quantile",
    "Softmax",
    "SquaredError",
    "mean_loss",
    "LOSSES",
    "Activation",
    "CustomActivation",
    "ELU",
    "GELU",
    "Identity",
    "Layout",
    "Views",
    "move",
    "LeakyReLU",
    "Logistic",
    "Loss",
    "Mish",
    "NetworkSpec",
    "ReLU",
    "SELU",
    "SiLU",
    "Softplus",
    "Predictor",
    "SharedRows",
    "SparseRows",
    "Tanh",
    "Workspace",
    "backward",
    "call",
    "forward",
    "INITIALIZERS",
    "Glorot",
    "He",
    "Initializer",
    "LeCun",
    "Orthogonal",
    "initial_parameters",
    "play",
    "predict",
    "rows_of",
]
