"""The fixture for pytest."""

from collections.abc import Iterator

import pytest

from . import Scheduler


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    """A scheduler of its own for each test, whose clock the test turns."""
    with Scheduler() as running:
        yield running
