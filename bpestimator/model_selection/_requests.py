"""The requests of a search: one for each candidate on each fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from bpestimator.lockstep import Data, FitRequest, nested_in, network_of, row_numbers


class Requests(NamedTuple):
    """The fits that a search requests, and those that it cannot request.

    places : the place of each request in the search's order, candidate * folds + fold
    requests : list of FitRequest
    alone : for each place without a request, the reason
    """

    places: list[int]
    requests: list[FitRequest]
    alone: dict[int, str]


def requests_of(
    estimator: Any,
    candidates: Sequence[dict[str, Any]],
    folds: Sequence[Any],
    data: Data,
    params: Mapping[str, Any],
) -> Requests:
    """A request for each candidate on each fold.

    Parameters
    ----------
    estimator : estimator
    candidates : sequence of dict
        The parameters of each candidate.
    folds : sequence of array-like
        The training rows of each fold, as the splitter has them.
    data : Data
    params : mapping
        The other arguments of ``fit``, such as ``sample_weight``.
    """
    found = Requests([], [], {})
    rows_of_folds = [_rows_or_obstacle(rows, data) for rows in folds]
    for number, parameters in enumerate(candidates):
        places = range(number * len(folds), (number + 1) * len(folds))
        try:
            one = clone(estimator).set_params(**clone(parameters, safe=False))
        except (AttributeError, RuntimeError, TypeError, ValueError) as error:
            # The search sets the parameters again, and raises the error.
            found.alone.update(dict.fromkeys(places, f"a parameter is not allowed: {error}"))
            continue
        obstacle = _obstacle(one, params)
        if obstacle is not None:
            found.alone.update(dict.fromkeys(places, obstacle))
            continue
        weight = params.get(_weight_name(one))
        for place, rows in zip(places, rows_of_folds, strict=True):
            if isinstance(rows, str):
                found.alone[place] = rows
            else:
                found.places.append(place)
                found.requests.append(FitRequest(one, data, rows, None, weight))
    return found


def _rows_or_obstacle(rows: Any, data: Data) -> np.ndarray | str:
    """The rows of a fold by number; the reason if the data does not have them."""
    try:
        return row_numbers(rows, data.n_rows)
    except (IndexError, TypeError) as error:  # the search takes them again, and raises its error
        return f"its rows are not allowed: {error}"


def _obstacle(one: Any, params: Mapping[str, Any]) -> str | None:
    """The reason why a candidate's fits cannot be requested; None if they can."""
    if not set(params) <= {_weight_name(one)}:
        return f"fit takes other arguments than sample_weight: {', '.join(sorted(params))}"
    is_nested = one is not network_of(one)
    if params and is_nested and get_config()["enable_metadata_routing"]:
        return "metadata routing decides which steps get sample_weight"
    return None


def _weight_name(one: Any) -> str:
    """The argument of ``fit`` that passes sample weights to the network."""
    outer = [estimator for _, estimator in nested_in(one)]
    steps = [est.steps[-1][0] for est in outer if type(est) is Pipeline]
    return "__".join([*steps, "sample_weight"])
