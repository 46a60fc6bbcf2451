"""Progress: count the epochs of all models, and show them as a bar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Progress:
    """A count of model-epochs, and the bar that shows it, if there is one.

    If a model stops early, its remaining epochs are counted when its group is finished.
    """

    def __init__(self, bar: Any, task: Any) -> None:
        self._bar, self._task = bar, task
        self._in_finished_groups = self._counted = 0

    def listener(self, n_models: int) -> _Epochs:
        """The hooks to call before and after each epoch of ``n_models`` models."""
        return _Epochs(self, n_models)

    def advance(self, n: int) -> None:
        """Count ``n`` more model-epochs."""
        self._counted += n
        self._show()

    def finish(self, n: int) -> None:
        """Count a group as finished, with all of its ``n`` model-epochs."""
        self._in_finished_groups += n
        self._counted = self._in_finished_groups
        self._show()

    def _show(self) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=self._counted)


class _Epochs:
    """Counts the epochs of models in lockstep."""

    def __init__(self, progress: Progress, n_models: int) -> None:
        self._progress, self._n_models = progress, n_models

    def begin_epoch(self) -> None:
        """Do nothing: only finished epochs are counted."""

    def end_epoch(self) -> bool:
        self._progress.advance(self._n_models)
        return False


@contextmanager
def model_epochs(total: int, *, shown: bool) -> Iterator[Progress]:
    """A progress bar while the context lasts.

    Parameters
    ----------
    total : int
        The number of model-epochs.
    shown : bool
        Whether to show the bar, if rich is installed.
    """
    new_bar = _new_bar() if shown and total else None
    if new_bar is None:
        yield Progress(None, None)
        return
    with new_bar as bar:
        yield Progress(bar, bar.add_task("model-epochs", total=total))


def _new_bar() -> Any:
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
