"""Whatever depends on the version of scikit-learn, in one place."""

from __future__ import annotations

try:
    # What scikit-learn raises for a bad parameter. Callers may catch this very class, so
    # ours has to be it; there is no public name for it yet.
    from sklearn.utils._param_validation import InvalidParameterError
except ImportError:  # pragma: no cover

    class InvalidParameterError(ValueError, TypeError):  # type: ignore[no-redef]
        """A parameter has an inappropriate type or value."""


__all__ = ["InvalidParameterError"]
