"""Runs cases with the package of one tree, and writes down all that became of them.

    python tests/comparison/worker.py TREE FILE CASE [CASE ...]

The file then has a pickled dict: by case, a dict of what :func:`outcome` gives, in plain arrays,
dicts, lists, numbers and strings, so that whoever reads it needs no package.
"""

from __future__ import annotations

import functools
import inspect
import pickle
import re
import sys
import warnings
from collections import Counter
from pathlib import Path
from types import BuiltinFunctionType, MethodDescriptorType
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
import sklearn.model_selection  # noqa: F401  before functools.partial is another
from sklearn.base import BaseEstimator

sys.path.append(str(Path(__file__).parents[1]))

# Recorded steps

RECORDING = "bpestimator.nn.recording"


class Prepared(functools.partial):
    """A call that the package has prepared to make it later, once or more often."""

    kept: ClassVar[list[Any]] = []
    latest: ClassVar[Any] = None  # where nothing has been called since it was prepared

    def __new__(cls, /, function: Any, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls, function, *args, **kwargs)
        if is_recorder(sys._getframe(1)):
            cls.kept.append(self)
            Prepared.latest = self
        return self

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        if self is Prepared.latest:
            self.kept.pop()  # made on the spot rather than recorded
        Prepared.latest = None
        return super().__call__(*args, **kwargs)


# ADAPT THE NEXT TWO FUNCTIONS to how the trees keep a step. Both prepare each of its calls as a
# functools.partial, which is Prepared here. Where a tree does so in another way, nothing is found,
# which counts as a difference.


def is_recorder(frame: Any) -> bool:
    """Whether it is the recording of steps that prepares a call, not some other use of partial."""
    module = frame.f_globals.get("__name__", "")
    if RECORDING in sys.modules:
        return module == RECORDING and not frame.f_code.co_qualname.startswith("Computation.")
    # 0.1: the functions that spell out the maths yield their calls.
    is_maths = bool(frame.f_code.co_flags & inspect.CO_GENERATOR)
    return is_maths and module.split(".")[0] == "bpestimator"


def recorded_calls() -> list[str]:
    """The calls of all recorded steps, in the order in which they were prepared.

    0.1 also prepares the calls that it makes on the spot, in a prediction, say: those directly
    follow their preparation. A later tree makes a step's calls once while it records them.
    """
    return [described(call) for call in Prepared.kept]


def described(call: functools.partial) -> str:
    """The function and the shapes of its arrays, whether NumPy's function or its method."""
    owner = getattr(call.func, "__self__", None)
    arrays = [*call.args, *call.keywords.values()]
    if isinstance(owner, np.ndarray):
        arrays.insert(0, owner)
    shapes = ", ".join(str(array.shape) for array in arrays if isinstance(array, np.ndarray))
    return f"{_name(call.func, owner)}({shapes})"


def _name(function: Any, owner: Any) -> str:
    if isinstance(owner, np.ufunc):
        return f"{owner.__name__}.{function.__name__}"
    is_numpy = isinstance(function, (np.ufunc, BuiltinFunctionType, MethodDescriptorType))
    is_numpy = is_numpy or getattr(function, "__module__", "").startswith(("numpy", "scipy"))
    return str(function.__name__) if is_numpy else "function"  # names of our own may change


# Outcomes

# In place of what partial_fit refuses.
SIMPLE = {"early_stopping": False, "learning_rate": "constant", "class_weight": None}
TIMES = re.compile(r"seconds|(mean|std)_(fit|score)_time|refit_time_")
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def plain(value: Any) -> Any:
    """As arrays, dicts, lists, numbers and strings: all fitted attributes of an estimator."""
    if sp.issparse(value):
        return plain(value.toarray())
    if isinstance(value, np.ma.MaskedArray):
        return [plain(np.ma.getmaskarray(value)), plain(value.data)]
    if isinstance(value, np.ndarray):
        return [plain(one) for one in value.ravel()] if value.dtype == object else value
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items() if not TIMES.fullmatch(str(k))}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, BaseEstimator):
        return {"is": type(value).__name__, **plain(fitted_attributes(value))}
    if value is None or isinstance(value, (bool, int, float, str, np.generic)):
        return value
    return ADDRESS.sub("", repr(value))


def fitted_attributes(model: Any) -> dict[str, Any]:
    """All public ones; of a Pipeline, those of its steps."""
    own = {name: value for name, value in vars(model).items() if is_fitted_attribute(name)}
    return {**own, "steps": [step for _, step in getattr(model, "steps", [])]}


def is_fitted_attribute(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_")


def predictions(model: Any, X: Any) -> dict[str, Any]:
    methods = [name for name in ("predict", "predict_proba") if hasattr(model, name)]
    return {
        f"{name} of {rows.shape[0]}": plain(getattr(model, name)(rows))
        for name in methods
        for rows in (X, X[:1])
    }


def learnt_further(model: Any, X: Any, y: np.ndarray) -> Any:
    """What one more ``partial_fit`` makes of the model, or of the best that a search found."""
    model = getattr(model, "best_estimator_", model)
    if not hasattr(model, "partial_fit"):
        return "no partial_fit"
    first = tried(model.partial_fit, X, y)
    if first is not model:  # an error
        model.set_params(**{k: v for k, v in SIMPLE.items() if k in model.get_params()})
        model.partial_fit(X, y)
    return [plain(first), plain(model)]


def tried(function: Any, *args: Any) -> Any:
    """What a function returns, or the error that it raises."""
    try:
        return function(*args)
    except Exception as error:  # a tree that fails is one of the differences looked for
        return {"error": type(error).__name__, "text": str(error)}


def lived(case: Any, model: Any, data: Any) -> Any:
    for act in case.life:
        act(model, data)
    return plain(model)


def outcome(case: Any, data: Any, to_predict: Any) -> dict[str, Any]:
    """What becomes of a case: all that is to be equal, and the warnings."""
    Prepared.kept.clear()
    Prepared.latest = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = tried(case.model)
        found = {"fitted": tried(lived, case, model, data)}
        steps = Counter(recorded_calls())
        found["predictions"] = tried(predictions, model, to_predict)
        found["further"] = tried(learnt_further, model, data.X, data.y)
    told = [f"{one.category.__name__}: {one.message}" for one in caught]
    return {**found, "steps": steps, "warnings": told}


def main(tree: str, file: str, names: list[str]) -> None:
    functools.partial = Prepared  # type: ignore[misc]
    from trees import check_imported_from

    check_imported_from(tree)
    from cases import CASES, data

    outcomes = {}
    for name in names:
        case = CASES[name]
        outcomes[name] = outcome(case, data(case.data), data(case.predict_on).X)
    Path(file).write_bytes(pickle.dumps(outcomes))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
