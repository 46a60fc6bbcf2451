"""Lockstep: train many networks as one array, each with the result that it has alone.

A caller makes a :class:`FitRequest` for each fit. Requests for networks of one kind train as one
array. For every other request, :func:`fit_requests` returns the reason why it must train alone.
"""

from bpestimator.lockstep.jobs import Plan, fit_requests, plan, run
from bpestimator.lockstep.nested import check_is_network, fit_around, nested_in, network_of
from bpestimator.lockstep.requests import Alone, Data, FitRequest, Fitted, row_numbers
from bpestimator.lockstep.rows import Rows, checked_rows
from bpestimator.lockstep.values import value_key

__all__ = [
    "Alone",
    "Data",
    "FitRequest",
    "Fitted",
    "Plan",
    "Rows",
    "check_is_network",
    "checked_rows",
    "fit_around",
    "fit_requests",
    "nested_in",
    "network_of",
    "plan",
    "row_numbers",
    "run",
    "value_key",
]
