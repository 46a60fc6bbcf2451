"""Kernels: all of it could be replaced by ``matmul``, ``sum`` and new arrays.

It is for speed only: no bit changes, but that predictions of more than ``EXACT_ROWS`` rows, whose
products are split, may differ in the last one.

buffers
    Arrays that are made once, and how they lie in memory.
workspace
    Every buffer that batches of one size need.
products
    Matrix products and sums, by the quickest way to scikit-learn's bits.
trials
    Whether two ways to compute the same sums round alike.
bias_trick
    One product for weights and biases, where rows end in a one.
"""

__all__: list[str] = []
