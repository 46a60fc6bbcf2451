"""Compatibility: all code that depends on the version of scikit-learn."""

from __future__ import annotations

from typing import Any

try:
    # The class that scikit-learn raises for a bad parameter. Callers may catch it, so this package
    # must raise the same class. It has no public name yet.
    from sklearn.utils._param_validation import InvalidParameterError
except ImportError:  # pragma: no cover

    class InvalidParameterError(ValueError, TypeError):  # type: ignore[no-redef]
        """A parameter has an inappropriate type or value."""


try:  # from scikit-learn 1.9 on
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Adds nothing: this version of scikit-learn has no callbacks."""

    def with_callbacks(method: Any) -> Any:
        return method


def has_callbacks(est: Any) -> bool:
    """Whether callbacks are set on an estimator. scikit-learn has no public way to ask yet."""
    return bool(getattr(est, "_skl_callbacks", None))


__all__ = ["CallbackSupportMixin", "InvalidParameterError", "has_callbacks", "with_callbacks"]
