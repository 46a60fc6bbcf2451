"""What the benchmarks share: who runs, fairly timed, and where."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence

import numpy as np
import scipy
import sklearn
from threadpoolctl import threadpool_info

Run = Callable[[], object]


def seconds(contestants: Sequence[Run], repeats: int) -> list[float]:
    """Fastest of several runs of each; they take turns, so that all bear the machine's noise."""
    times: list[list[float]] = [[] for _ in contestants]
    for _ in range(repeats):
        for taken, run in zip(times, contestants, strict=True):
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
    return [min(taken) for taken in times]


def machine() -> str:
    """Versions and processor, and whether OpenBLAS was told which kernels to use."""
    libraries = [info for info in threadpool_info() if info["user_api"] == "blas"]
    blas = next((info for info in libraries if "numpy" in info["filepath"]), libraries[0])
    kernels = blas.get("architecture")
    text = (
        f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, "
        f"scikit-learn {sklearn.__version__}, {blas['internal_api']} {blas['version']} "
        f"({kernels}), {_processor()}, {os.cpu_count()} cores"
    )
    if forced := os.environ.get("OPENBLAS_CORETYPE"):
        text += (
            f"\n\nOPENBLAS_CORETYPE={forced} is set, and these kernels may be slower than those "
            "that OpenBLAS would choose: unset it, and OPENBLAS_L2_SIZE, to have its own choice."
        )
    return text


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(field: str) -> str:
    """What Linux says of the first processor; nothing elsewhere."""
    try:
        with open("/proc/cpuinfo") as info:
            return next(line.split(":")[1].strip() for line in info if line.startswith(field))
    except (OSError, StopIteration):
        return ""


def title(text: str) -> None:
    print(f"\n## {text}\n")


def head(*columns: str) -> None:
    """The head of a Markdown table."""
    row(*columns)
    row(*("---" for _ in columns))


def row(*cells: object) -> None:
    print("| " + " | ".join(_text(cell) for cell in cells) + " |", flush=True)


def _text(cell: object) -> str:
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)
