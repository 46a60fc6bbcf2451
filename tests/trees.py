"""Two trees of the package side by side: a commit in a temporary folder, and the working tree."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """The package as it was at a commit, in a folder that goes away again."""
    command = ["git", "archive", commit, "bpestimator"]
    packed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with TemporaryDirectory(prefix="bpestimator-base-") as folder:
        with tarfile.open(fileobj=BytesIO(packed)) as files:
            files.extractall(folder, filter="data")
        yield Path(folder)


def environment(tree: Path) -> dict[str, str]:
    """The environment of a process that is to import the package from that tree.

    One BLAS thread, since their number decides how a product is cut up, and so its last bits.
    """
    return os.environ | {
        "PYTHONPATH": str(tree),
        "PYTHONHASHSEED": "0",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def check_imported_from(tree: str) -> None:
    """RuntimeError unless the package comes from that tree rather than from an installation."""
    import bpestimator

    if not Path(bpestimator.__file__).resolve().is_relative_to(Path(tree).resolve()):
        raise RuntimeError(f"bpestimator comes from {bpestimator.__file__}, not from {tree}.")
