"""Where pickles of version 0.1.0 look for the output activations."""

from bpestimator.nn.output_activations import Exp, Increasing, Softmax

__all__ = ["Exp", "Increasing", "Softmax"]
