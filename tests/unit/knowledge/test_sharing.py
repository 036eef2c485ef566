"""A large partition is scanned by the threads that are free, and no other search waits for that."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest

from tenantry.adapters.sealed.sharing import together

WAIT_S = 30


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as made:
        yield made


def begun(pool: Executor, work: Callable[[int], None], count: int) -> Future[None]:
    return pool.submit(together, pool, work, count)


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_each_part_is_done_once(pool: Executor, count: int) -> None:
    done: Counter[int] = Counter()
    begun(pool, lambda part: done.update([part]), count).result(WAIT_S)
    assert done == Counter(range(count))


def test_a_free_thread_helps(pool: Executor) -> None:
    both = threading.Barrier(2, timeout=WAIT_S)  # broken where one thread does both

    def meets(part: int) -> None:
        both.wait()

    begun(pool, meets, 2).result(WAIT_S)


def test_one_part_asks_for_no_help() -> None:
    class Nobody(ThreadPoolExecutor):
        def submit(self, *asked: object, **named: object) -> Future[object]:  # type: ignore[override]
            raise AssertionError("help was asked for")

    done: list[int] = []
    together(Nobody(1), done.append, 1)
    assert done == [0]


def test_nobody_waits_for_help_that_has_not_begun(pool: Executor) -> None:
    busy = threading.Event()
    other = pool.submit(busy.wait, WAIT_S)
    done: list[int] = []
    begun(pool, done.append, 9).result(WAIT_S)
    assert sorted(done) == list(range(9))
    assert not other.done()
    busy.set()


def test_two_large_searches_at_once_do_not_wait_for_each_other(pool: Executor) -> None:
    both_run = threading.Barrier(2, timeout=WAIT_S)
    done: list[int] = []

    def first_together(part: int) -> None:
        if part == 0:
            both_run.wait()
        done.append(part)

    for each in [begun(pool, first_together, 20) for _ in range(2)]:
        each.result(WAIT_S)
    assert Counter(done) == Counter([*range(20)] * 2)


def test_who_waits_for_a_thread_has_it_before_the_next_part(pool: Executor) -> None:
    """A small search that comes while a large one has help is not behind all of its parts."""
    order: list[str] = []
    helped, waiting, over = threading.Event(), threading.Event(), threading.Event()
    searcher: list[int] = []

    def part_done(part: int) -> None:
        if threading.get_ident() == searcher[0]:
            over.wait(WAIT_S)  # the searching thread is held up: all else is done by help
            return
        helped.set()
        waiting.wait(WAIT_S)
        order.append("part")

    def search() -> None:
        searcher.append(threading.get_ident())
        together(pool, part_done, 5)

    large = pool.submit(search)
    assert helped.wait(WAIT_S)
    small = pool.submit(order.append, "small")
    waiting.set()
    small.result(WAIT_S)
    over.set()
    large.result(WAIT_S)
    assert order.index("small") <= 2  # behind the part under way, and the one that was asked for


def test_what_breaks_is_told_once_nothing_runs_any_more(pool: Executor) -> None:
    """What is read is unpinned then: no thread may still be at it."""
    helped, released = threading.Event(), threading.Event()
    done: list[int] = []

    def work(part: int) -> None:
        if part == 0:
            helped.wait(WAIT_S)
            raise ZeroDivisionError
        helped.set()
        released.wait(WAIT_S)
        done.append(part)

    search = begun(pool, work, 40)
    with pytest.raises(TimeoutError):
        search.result(0.05)
    released.set()
    with pytest.raises(ZeroDivisionError):
        search.result(WAIT_S)
    assert done == [1]  # what was under way


def test_what_breaks_in_another_thread_is_told_too(pool: Executor) -> None:
    helped = threading.Event()

    def work(part: int) -> None:
        if part == 0:
            helped.wait(WAIT_S)
        else:
            helped.set()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        begun(pool, work, 2).result(WAIT_S)


def test_a_pool_that_closes_lets_a_search_end_by_itself() -> None:
    pool = ThreadPoolExecutor(2)
    under_way, closed = threading.Event(), threading.Event()
    done: list[int] = []

    def work(part: int) -> None:
        under_way.set()
        closed.wait(WAIT_S)
        done.append(part)

    search = begun(pool, work, 6)
    assert under_way.wait(WAIT_S)
    pool.shutdown(wait=False, cancel_futures=True)
    closed.set()
    search.result(WAIT_S)
    assert sorted(done) == list(range(6))
