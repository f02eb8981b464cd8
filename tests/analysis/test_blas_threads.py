"""The BLAS limit is one for the process: whoever comes and goes, the number afterwards is the one before."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from mswin_viz.analysis.blas_threads import _LIMIT, _set, one_blas_thread

np.ones((2, 3)) @ np.ones((3, 2))  # BLAS is loaded
LIBRARIES = [one for one in ThreadpoolController().lib_controllers if one.user_api == "blas"]
if not LIBRARIES:
    pytest.skip("needs a BLAS whose threads can be set: NumPy has none here", allow_module_level=True)


def numbers() -> list[int]:
    return [library.num_threads for library in LIBRARIES]


def set_all(n_threads: int) -> None:
    for library in LIBRARIES:
        _set(library, n_threads)


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = numbers()
    set_all(3)
    yield
    for library, n_threads in zip(LIBRARIES, before, strict=True):
        _set(library, n_threads)


def test_blas_has_one_thread_inside_and_its_own_number_outside() -> None:
    with one_blas_thread():
        assert set(numbers()) == {1}
    assert set(numbers()) == {3}


def test_the_inner_one_of_two_leaves_the_limit_to_the_outer_one() -> None:
    with one_blas_thread():
        with one_blas_thread():
            pass
        assert set(numbers()) == {1}
    assert set(numbers()) == {3}


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_inside_restores_the_number(kind: type[BaseException]) -> None:
    with pytest.raises(kind), one_blas_thread(), one_blas_thread():
        raise kind
    assert set(numbers()) == {3}


@pytest.mark.parametrize("first_out", [0, 1])
def test_of_two_that_overlap_either_may_leave_first(first_out: int) -> None:
    both = [one_blas_thread(), one_blas_thread()]
    for one in both:
        one.__enter__()
    both[first_out].__exit__(None, None, None)
    assert set(numbers()) == {1}
    both[1 - first_out].__exit__(None, None, None)
    assert set(numbers()) == {3}


@pytest.mark.parametrize("n_threads", [1, 2, 4])
def test_a_number_set_before_is_the_number_afterwards(n_threads: int) -> None:
    set_all(n_threads)
    with one_blas_thread():
        pass
    assert set(numbers()) == {n_threads}


def test_a_number_set_meanwhile_stays() -> None:
    with one_blas_thread():
        set_all(2)
    assert set(numbers()) == {2}
    with one_blas_thread():
        assert set(numbers()) == {1}
    assert set(numbers()) == {2}


def test_the_last_one_out_restores_the_number_from_another_thread_than_the_first_one_in() -> None:
    first, out = one_blas_thread(), threading.Event()
    both_in = threading.Event()

    def visit() -> None:
        with one_blas_thread():
            both_in.set()
            out.wait()

    first.__enter__()
    thread = threading.Thread(target=visit)
    thread.start()
    both_in.wait()
    first.__exit__(None, None, None)
    out.set()
    thread.join()
    assert set(numbers()) == {3}


def test_a_limit_that_the_user_holds_in_another_thread_is_there_again_afterwards() -> None:
    with threadpool_limits(2, user_api="blas"):
        thread = threading.Thread(target=_LIMIT.enter)
        thread.start()
        thread.join()
        assert set(numbers()) == {1}
        _LIMIT.leave()
        assert set(numbers()) == {2}
    assert set(numbers()) == {3}


def test_1600_visits_from_eight_threads_leave_the_number_as_it_was() -> None:
    inside, at_work, failed = [], threading.Barrier(8), []

    def visits(seed: int) -> None:
        rng = random.Random(seed)
        at_work.wait()
        for _ in range(200):
            try:
                with one_blas_thread():
                    inside.extend(numbers())
                    if rng.random() < 0.3:
                        with one_blas_thread():
                            pass
                    if rng.random() < 0.2:
                        raise ValueError
            except ValueError:
                failed.append(1)

    threads = [threading.Thread(target=visits, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(inside) == 1600 * len(LIBRARIES)
    assert set(inside) == {1}
    assert len(failed) > 100
    assert set(numbers()) == {3}
