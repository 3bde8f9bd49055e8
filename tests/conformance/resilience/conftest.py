"""One suite, every library: what a strategy must not get wrong, whoever wrote it."""

from collections.abc import Callable

import pytest

from conformance.resilience.engine import Engine
from conformance.resilience.strategies import Strategies
from conformance.resilience.subject import Subject

SUBJECTS: list[Callable[[], Subject]] = [Strategies, Engine]


#: Those that bound what retries add to the load.
WITH_BUDGET: list[Callable[[], Subject]] = [Strategies, Engine]


@pytest.fixture(params=SUBJECTS, ids=lambda make: make.__name__.lower())
def subject(request: pytest.FixtureRequest) -> Subject:
    made: Subject = request.param()
    return made


@pytest.fixture(params=WITH_BUDGET, ids=lambda make: make.__name__.lower())
def budgeted(request: pytest.FixtureRequest) -> Subject:
    made: Subject = request.param()
    return made
