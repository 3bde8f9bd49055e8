from __future__ import annotations

import pkgutil

import pytest

from fairlead import providers
from fairlead.errors import InvalidArgumentError
from fairlead.runtime.registry import load_provider, provider_names
from fairlead.testing.registry import fake_names, load_fake
from fairlead.testing.server import FakeServer


def test_every_provider_that_serves_has_a_stand_in() -> None:
    own = [module.name for module in pkgutil.iter_modules(providers.__path__)]  # other tests bring packages along
    assert {*fake_names()} >= {name for name in own if load_provider(name).capabilities}
    assert {*fake_names()} <= {*provider_names()}


@pytest.mark.parametrize("name", fake_names())
def test_it_is_found_by_name_and_accepts_what_its_provider_asks_for(name: str) -> None:
    fake = load_fake(name)
    assert issubclass(fake, FakeServer)
    assert fake is not FakeServer
    declared = load_provider(name).credentials
    assert {each.name for each in declared if each.is_required} <= fake.CREDENTIALS.keys()
    assert fake.CREDENTIALS.keys() <= {each.name for each in declared}


def test_an_unknown_one_is_told_with_the_closest() -> None:
    with pytest.raises(InvalidArgumentError, match="no stand-in for 'edamm'") as caught:
        load_fake("edamm")
    assert caught.value.hint == "Did you mean 'edamam'?"
