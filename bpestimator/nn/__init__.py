"""The maths: what a network computes, and its gradient.

Words used throughout, each with one meaning:

z, a
    z = a W + b is what enters a layer's activation, a its inputs; f(z) is the next layer's a, and
    is written over z.
raw
    The last layer's outputs before the output activation turns them into predictions.
delta
    d loss / d z of a layer. One buffer holds first raw, then the last layer's delta, which the
    loss writes over it.
rows
    What a network takes, one sample each. A *batch* has the rows of one step; a *block* has
    several batches, which are gathered at once.
lead
    Leading axes of independent models. Parameters have shape ``lead + (P,)`` and activations
    ``lead + (batch, width)``; ``lead`` is ``()`` for one model and ``(K,)`` for K models that
    train in lockstep. Products act on the last two axes; only ``SharedRows`` and
    ``Objective.of_models`` slice the first.
part
    Consecutive models that share their rows, or that have the same number of rows.
width
    Units of a layer; ``fan_in`` and ``fan_out`` are the widths on either side of a weight.
sizes
    Units per layer, inputs first, outputs last.
flat, views
    All parameters, or their gradient, as one *flat* array; and each layer's weights and biases,
    which are *views* of it. What changes the one changes the other.
terms
    The numbers that a loss keeps of each row during a step, so that its value can be computed
    later, for many batches at once.
recorded
    Written down when it is first called, to be called again on the same arrays, see
    :mod:`bpestimator.nn.recording`.

Random numbers come only from the source given to an initializer. Nothing here prints, or knows
scikit-learn.
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
