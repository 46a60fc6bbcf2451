"""All benchmarks, as Markdown tables; each goal stands beside its figure.

    python tests/benchmarks [fit | life | growth | options | search ...]

Contestants take turns in one process and the fastest of several runs counts. Trust ratios,
and those only on a machine with nothing else to do. PyTorch joins in where it is installed.
"""

from __future__ import annotations

import sys
import warnings

import fit
import growth
import life
import options
import search
from contest import machine

BENCHMARKS = {
    "fit": fit.main,
    "life": life.main,
    "growth": growth.main,
    "options": options.main,
    "search": search.main,
}

if __name__ == "__main__":
    wanted = sys.argv[1:] or list(BENCHMARKS)
    if unknown := set(wanted) - set(BENCHMARKS):
        sys.exit(f"No benchmark {', '.join(unknown)}: choose from {', '.join(BENCHMARKS)}.")
    warnings.simplefilter("ignore")
    print(machine())
    for name in wanted:
        BENCHMARKS[name]()
