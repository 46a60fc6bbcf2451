"""Whether the working tree computes, to the bit, what a commit computes, in no more steps.

    python tests/comparison BASE [--only TEXT] [--verbose]

Both run side by side with one Python, one NumPy and one BLAS thread: nothing is stored, since bits
differ between machines. Equal must be, for every case in ``cases.py``, all public fitted
attributes, the predictions, what one more ``partial_fit`` makes of the model, and the calls of the
recorded steps, of which there may be fewer. A search may group its models otherwise: of its calls
only the number counts, in this process. Times may differ. Words may differ, too (warnings, and
the sentences of errors and of ``stop_reason_``): they are noted. The exit code is 1 if anything
differs.
"""

from __future__ import annotations

import argparse
import pickle
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path[1:1] = [str(HERE.parent), str(HERE.parents[1])]  # ours before any installed package

from cases import CASES  # noqa: E402
from trees import ROOT, checked_out, environment  # noqa: E402

SHOWN = 3  # differences of a case, unless all are wanted


def run_in(trees: list[Path], names: list[str]) -> list[dict[str, Any]]:
    """The outcomes of the cases in each tree, all trees at once."""
    with TemporaryDirectory() as folder:
        files = [f"{folder}/{number}.pkl" for number in range(len(trees))]
        workers = [
            subprocess.Popen(
                [sys.executable, str(HERE / "worker.py"), str(tree), file, *names],
                env=environment(tree),
                stderr=subprocess.PIPE,
                text=True,
            )
            for tree, file in zip(trees, files, strict=True)
        ]
        errors = [worker.communicate()[1] for worker in workers]
        for worker, error in zip(workers, errors, strict=True):
            if worker.returncode:
                sys.exit(f"A worker has failed.\n{error}")
        return [pickle.loads(Path(file).read_bytes()) for file in files]


# Differences


def differences(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Where two outcomes differ, and how."""
    if type(old) is not type(new):
        yield f"{where}: {type(old).__name__} became {type(new).__name__}"
    elif isinstance(old, dict):
        yield from _keys(old, new, where)
        for key in old.keys() & new.keys():
            yield from differences(old[key], new[key], f"{where}.{key}" if where else key)
    elif isinstance(old, list):
        if len(old) != len(new):
            yield f"{where}: {len(old)} entries became {len(new)}"
        for k, (one, other) in enumerate(zip(old, new, strict=False)):
            yield from differences(one, other, f"{where}[{k}]")
    elif isinstance(old, np.ndarray):
        yield from _arrays(old, new, where)
    elif not (old == new or (old != old and new != new)):
        yield f"{where}: {_short(old)} became {_short(new)}"


def _keys(old: dict[str, Any], new: dict[str, Any], where: str) -> Iterator[str]:
    if lost := old.keys() - new.keys():
        yield f"{where}: {', '.join(sorted(lost))} gone"
    if more := new.keys() - old.keys():
        yield f"{where}: {', '.join(sorted(more))} added"


def _arrays(old: np.ndarray, new: np.ndarray, where: str) -> Iterator[str]:
    if (old.dtype, old.shape) != (new.dtype, new.shape):
        yield f"{where}: {old.dtype}{old.shape} became {new.dtype}{new.shape}"
    elif not np.array_equal(old, new, equal_nan=old.dtype.kind in "fc"):
        differing = old != new
        text = f"{where}: {np.count_nonzero(differing)} of {old.size} differ"
        far = np.nanmax(abs(old - new)) if old.dtype.kind == "f" else None
        yield text if far is None else f"{text}, by up to {far:.1e}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."


def differences_of_steps(name: str, old: Counter[str], new: Counter[str]) -> Iterator[str]:
    """Calls that the recorded steps have more often than before."""
    if old and not new:
        yield "steps: none found; adapt is_recorder in worker.py"
    more = new - old
    if name.startswith("search"):
        is_worse = new.total() > old.total() and "processes" not in name
    else:
        is_worse = bool(more)
    if is_worse:
        listed = ", ".join(f"{count} x {call}" for call, count in more.most_common(4))
        yield f"steps: {old.total()} calls became {new.total()}, with {more.total()} more: {listed}"


def without_words(outcome: Any, words: list[str]) -> Any:
    """The outcome without what may be worded anew, which is appended to ``words``."""
    if isinstance(outcome, list):
        return [without_words(one, words) for one in outcome]
    if not isinstance(outcome, dict):
        return outcome
    kept = dict(outcome)
    if "error" in kept:
        words.append(kept.pop("text", ""))
    if "stop_reason_" in kept:
        kept["stop_reason_"], _, sentence = kept["stop_reason_"].partition(": ")
        words.append(sentence)
    return {key: without_words(value, words) for key, value in kept.items()}


def compare(name: str, old: dict[str, Any], new: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What differs, and what is worth a note."""
    old, new = dict(old), dict(new)
    steps = [one.pop("steps") for one in (old, new)]
    told = [sorted(one.pop("warnings")) for one in (old, new)]
    words: list[list[str]] = [[], []]
    plain = [without_words(one, some) for one, some in zip((old, new), words, strict=True)]
    found = [*differences(*plain), *differences_of_steps(name, *steps)]
    notes = [*_notes_of_words(told, words)]
    if not found and steps[0] != steps[1]:
        notes.append(f"steps: {steps[0].total()} calls became {steps[1].total()}")
    return found, notes


def _notes_of_words(told: list[list[str]], words: list[list[str]]) -> Iterator[str]:
    categories = [[one.partition(":")[0] for one in some] for some in told]
    if categories[0] != categories[1]:
        yield f"warnings: {Counter(categories[0])} became {Counter(categories[1])}"
    elif told[0] != told[1]:
        before, after = next(pair for pair in zip(*told, strict=True) if pair[0] != pair[1])
        yield f"a warning is worded anew: {before!r} became {after!r}"
    if words[0] != words[1]:
        yield "an error or stop_reason_ is worded anew"


# The table


def report(name: str, found: list[str], verbose: bool) -> None:
    shown = found if verbose else found[:SHOWN]
    print(f"{name:<42} {'DIFFERS' if found else 'equal'}")
    for text in shown:
        print(f"    {text}")
    if len(shown) < len(found):
        print(f"    and {len(found) - len(shown)} more differences")


def report_notes(notes: dict[str, list[str]]) -> None:
    """Each note once, whatever its numbers, with the cases that it is about."""
    alike: dict[str, tuple[str, list[str]]] = {}
    for note, names in notes.items():
        alike.setdefault(re.sub(r"\d+", "#", note), (note, []))[1].extend(names)
    for note, names in alike.values():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        print(f"note, {'; '.join(names[:SHOWN])}{more}:\n    {note}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("--only", default="", help="compare the cases whose names have this text")
    parser.add_argument("--verbose", action="store_true", help="show every difference")
    return parser.parse_args()


def main() -> int:
    wanted = arguments()
    names = [name for name in CASES if wanted.only in name]
    if not names:
        sys.exit(f"No case has {wanted.only!r} in its name.")
    with checked_out(wanted.base) as base:
        old, new = run_in([base, ROOT], names)
    differing = 0
    notes: dict[str, list[str]] = {}
    for name in names:
        found, noted = compare(name, old[name], new[name])
        differing += bool(found)
        report(name, found, wanted.verbose)
        for note in noted:
            notes.setdefault(note, []).append(name)
    report_notes(notes)
    n_calls = sum(outcome["steps"].total() for outcome in old.values())
    print(f"\n{differing} of {len(names)} cases differ; {n_calls} recorded calls in the base.")
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main())
