import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="session", autouse=True)
def _one_blas_thread():
    # The number of threads decides how BLAS cuts up a product, and so its last bits.
    with threadpool_limits(1):
        yield
