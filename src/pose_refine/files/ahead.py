"""Work done in threads before its result is wanted."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
READERS = min(4, os.cpu_count() or 1)  # threads that decode images
AHEAD = 2 * READERS  # images that are held ready: bounds memory


def read_ahead(
    read: Callable[[Item], Result], items: Iterable[Item], held: int = AHEAD
) -> Generator[tuple[Item, Future[Result]], None, None]:
    """Each item and what `read` makes of it, in their order; at most `held` are read before they are wanted."""
    pool = ThreadPoolExecutor(READERS, thread_name_prefix="read-ahead")
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(read, item)))
            if len(waiting) > held:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def until_error(items: Iterable[Item], errors: list[Exception]) -> Iterator[Item]:
    """The items before the one that cannot be had: they are finished first, and what is wrong is told then."""
    try:
        yield from items
    except Exception as error:
        errors.append(error)


def said_of(name: str, error: Exception) -> Exception:
    """The same kind of error, which says of what: `frame 3: ...`."""
    kinds = FileNotFoundError, OSError, TypeError, ValueError
    kind = next((k for k in kinds if isinstance(error, k)), None)
    return error if kind is None else kind(f"{name}: {error}")
