"""Neural networks for scikit-learn users, with the maths written out by hand in NumPy."""

from bpestimator.estimators import BackpropClassifier, BackpropRegressor
from bpestimator.nn import (
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
from bpestimator.training import SGD, Adagrad, Adam, AdamW, NAdam, Optimizer, RMSprop

__all__ = [
    "BackpropClassifier",
    "BackpropRegressor",
    "Activation",
    "CustomActivation",
    "ELU",
    "GELU",
    "Identity",
    "LeakyReLU",
    "Logistic",
    "Mish",
    "ReLU",
    "SELU",
    "SiLU",
    "Softplus",
    "Tanh",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "NAdam",
    "Optimizer",
    "RMSprop",
]

__version__ = "0.1.0"
