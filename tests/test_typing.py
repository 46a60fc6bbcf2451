"""Types: a checker accepts a user's script, and finds the mistakes in another."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bpestimator

pytest.importorskip("mypy")

FOLDER = Path(__file__).parent / "typing"


def check(script, tmp_path):
    """The number of each line with an error, and what mypy prints, from outside the checkout."""
    options = ["--strict", "--cache-dir", str(tmp_path), "--follow-imports", "silent"]
    # What users have installed is searched for in MYPYPATH as if it were their own.
    path = {"MYPYPATH": str(Path(bpestimator.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "--config-file", "", str(FOLDER / script)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **path},
    )
    lines = re.findall(rf"{script}:(\d+): error", done.stdout)
    return sorted(set(map(int, lines))), done.stdout + done.stderr


def test_a_script_that_reads_attributes_is_accepted(tmp_path):
    found, printed = check("reads_attributes.py", tmp_path)
    assert found == [], printed
    assert "Success" in printed


def test_mistakes_are_found(tmp_path):
    found, printed = check("makes_mistakes.py", tmp_path)
    lines = (FOLDER / "makes_mistakes.py").read_text().splitlines()
    marked = [number for number, line in enumerate(lines, start=1) if "# error" in line]
    assert found == marked, printed
