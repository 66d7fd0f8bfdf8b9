"""What Python stumbles over inside damaged poses, in words: the one place for it."""

from collections.abc import Iterator
from contextlib import contextmanager

# AttributeError: a number where an object was to be; RuntimeError: tensors that have no numbers, nesting without end.
STUMBLES = (AttributeError, LookupError, OverflowError, RuntimeError, TypeError)


@contextmanager
def told(name: str, expected: str) -> Iterator[None]:
    """What is raised inside, because something is not what its surroundings promise, names the format.

    Args:
        name: Of the format.
        expected: What it takes, in words.

    Raises:
        TypeError: Instead of a TypeError.
        ValueError: Instead of any of the other STUMBLES.
    """
    try:
        yield
    except STUMBLES as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: expected {expected}; something in it is not as it should be: {error}") from error
