"""Lockstep: many fits as one, each as if it were alone.

Whoever has many fits to make sends a :class:`FitRequest` for each. Requests whose networks are
alike train as one array; :func:`fit_requests` says of every other why it cannot.
"""

from bpestimator.lockstep.jobs import Plan, fit_requests, plan, run
from bpestimator.lockstep.nested import check_is_network, fit_around, nested_in, network_of
from bpestimator.lockstep.requests import Alone, Data, FitRequest, Fitted
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
    "run",
    "value_key",
]
