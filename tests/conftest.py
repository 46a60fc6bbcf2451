import pytest
from threadpoolctl import threadpool_limits

# Scripts for type checkers, one of them full of mistakes.
collect_ignore = ["typing"]

pytest.register_assert_rewrite("data")


@pytest.fixture(scope="session", autouse=True)
def _one_blas_thread():
    # The number of threads decides how BLAS cuts up a product, and so its last bits.
    with threadpool_limits(1):
        yield
