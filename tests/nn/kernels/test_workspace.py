"""A workspace gives the same buffers again after it is rewound, to the same requests only."""

import numpy as np
import pytest

from bpestimator.nn.kernels.workspace import Workspace


def test_the_same_requests_get_the_same_buffers():
    ws, z = Workspace((), 4), np.ones((4, 3), np.float32)
    requests = (
        lambda: ws.empty((2, 3), np.float64),
        lambda: ws.like(z),
        lambda: ws.like(z, bool),
        lambda: ws.row_by_row(np.ones((2, 4, 5))),
        lambda: ws.zeros((3,), z.dtype),
        lambda: ws.empty([2, 3], "float64"),
        lambda: ws.empty(5, float),
    )
    first = [request() for request in requests]
    ws.rewind()
    assert all(request() is buffer for request, buffer in zip(requests, first, strict=True))


@pytest.mark.parametrize(
    "request_",
    [
        lambda ws: ws.empty((3, 2), np.float64),
        lambda ws: ws.zeros((2, 3), np.float32),
        lambda ws: ws.like(np.ones((2, 3)), bool),
        lambda ws: ws.row_by_row(np.ones((1, 2, 3))),
    ],
)
def test_another_request_is_an_error(request_):
    ws = Workspace((), 4)
    ws.empty((2, 3), np.float64)
    ws.rewind()
    with pytest.raises(RuntimeError, match=r"but was for float64 of shape \(2, 3\) before"):
        request_(ws)
