"""Progress: how many epochs of how many models have passed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Progress:
    """A count of model-epochs, and the bar that shows it, if there is one.

    A model that stops early leaves some of its epochs out; they count once its group is done.
    """

    def __init__(self, bar: Any, task: Any) -> None:
        self._bar, self._task = bar, task
        self._finished = self._passed = 0

    def listener(self, n_models: int) -> _Epochs:
        """The hooks called before and after each epoch of that many models."""
        return _Epochs(self, n_models)

    def advance(self, n: int) -> None:
        self._passed += n
        self._show()

    def finish(self, n: int) -> None:
        """A group with that many model-epochs is done."""
        self._finished += n
        self._passed = self._finished
        self._show()

    def _show(self) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=self._passed)


class _Epochs:
    """Counts the epochs of models in lockstep."""

    def __init__(self, progress: Progress, n_models: int) -> None:
        self._progress, self._n_models = progress, n_models

    def begin_epoch(self) -> None:
        """Nothing has passed yet."""

    def end_epoch(self) -> bool:
        self._progress.advance(self._n_models)
        return False


@contextmanager
def model_epochs(total: int, *, shown: bool) -> Iterator[Progress]:
    """A progress bar while the context lasts, if it is to be shown and rich is installed."""
    columns = _columns() if shown and total else None
    if columns is None:
        yield Progress(None, None)
        return
    with columns as bar:
        yield Progress(bar, bar.add_task("model-epochs", total=total))


def _columns() -> Any:
    try:
        from rich import progress
    except ImportError:
        return None
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
    )
