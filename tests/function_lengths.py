"""How long the functions of the package are: code lines, without signature and docstring.

    python tests/function_lengths.py [FOLDER]

A line counts where a token stands on it that is no comment. A function's lines are those of its
body, inner functions included; the signature counts for nothing, since it grows with parameters
rather than with thoughts.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

PACKAGE = Path(__file__).parent.parent / "bpestimator"
LONGEST_SHOWN = 10
LONG_FILE = 400
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


class Function(NamedTuple):
    n_lines: int
    name: str


def lines_with_code(source: str) -> set[int]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    spans = [(t.start[0], t.end[0]) for t in tokens if t.type not in NO_CODE]
    return {line for first, last in spans for line in range(first, last + 1)}


def lines_of_body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[int]:
    """All lines from the first statement that is no docstring to the last."""
    has_docstring = ast.get_docstring(function, clean=False) is not None
    body = function.body[has_docstring:]
    return set(range(body[0].lineno, body[-1].end_lineno + 1)) if body else set()


def functions(path: Path, folder: Path) -> Iterator[Function]:
    source = path.read_text()
    code = lines_with_code(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            name = f"{path.relative_to(folder)}:{node.lineno} {node.name}"
            yield Function(len(lines_of_body(node) & code), name)


def main(folder: Path = PACKAGE) -> None:
    files = sorted(folder.rglob("*.py"))
    found = sorted((f for path in files for f in functions(path, folder)), reverse=True)
    lengths = [function.n_lines for function in found]
    median, p90 = np.quantile(lengths, [0.5, 0.9])
    print(f"{len(found)} functions: median {median:g}, 90th percentile {p90:g}, max {lengths[0]}")
    print("\nThe longest:")
    for n_lines, name in found[:LONGEST_SHOWN]:
        print(f"{n_lines:4d}  {name}")
    print(f"\nFiles of more than {LONG_FILE} lines:")
    for path in files:
        if (n_lines := len(path.read_text().splitlines())) > LONG_FILE:
            print(f"{n_lines:4d}  {path.relative_to(folder)}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
