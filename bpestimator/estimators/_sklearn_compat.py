"""Whatever depends on the version of scikit-learn, in one place."""

from __future__ import annotations

from typing import Any

try:
    # What scikit-learn raises for a bad parameter. Callers may catch this very class, so
    # ours has to be it; there is no public name for it yet.
    from sklearn.utils._param_validation import InvalidParameterError
except ImportError:  # pragma: no cover

    class InvalidParameterError(ValueError, TypeError):  # type: ignore[no-redef]
        """A parameter has an inappropriate type or value."""


try:  # from scikit-learn 1.9 on
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Without callbacks there is nothing to set."""

    def with_callbacks(method: Any) -> Any:
        return method


def has_callbacks(est: Any) -> bool:
    """Whether a fit has somebody to tell; there is no public way to ask yet."""
    return bool(getattr(est, "_skl_callbacks", None))


__all__ = ["CallbackSupportMixin", "InvalidParameterError", "has_callbacks", "with_callbacks"]
