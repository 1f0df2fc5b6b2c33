"""One thread for small matrices, whoever else is inside."""

import threading

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from labelwright.tools.threads import one_thread


def threads():
    """Threads that each BLAS of the process would use."""
    return [found["num_threads"] for found in ThreadpoolController().select(user_api="blas").info()]


@pytest.fixture(autouse=True)
def before():
    np.ones((2, 2)) @ np.ones((2, 2))
    if max(usual := threads()) == 1:
        pytest.skip("BLAS has one thread here, whatever it is told")
    yield
    assert threads() == usual


def test_it_holds_inside_and_is_lifted_after():
    with one_thread(), one_thread():
        assert set(threads()) == {1}
    assert max(threads()) > 1


def test_several_threads_take_turns_and_leave_it_as_it_was():
    started, seen = threading.Event(), []

    def other():
        started.set()
        with one_thread():
            seen.append(set(threads()))

    with one_thread():
        thread = threading.Thread(target=other)
        thread.start()
        assert started.wait(10)
        thread.join(0.05)
        assert seen == []
    thread.join()
    assert seen == [{1}]


def test_it_is_lifted_when_something_fails():
    with pytest.raises(ValueError, match="inside"), one_thread():
        raise ValueError("inside")
    assert max(threads()) > 1
