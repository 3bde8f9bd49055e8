"""Where an example is played: stand-ins on free ports, and the examples' own fairlead.toml, led to them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from fairlead.testing.fakes.edamam import EdamamFake
from fairlead.testing.fakes.spoonacular import SpoonacularFake
from fairlead.testing.server import FakeServer
from shop import ShopFake

EXAMPLES = Path(__file__).parents[2] / "examples"
KEYS = re.search(r"export (.*)", (EXAMPLES / "fairlead.toml").read_text(encoding="utf-8"))


class Backdrop(NamedTuple):
    """The stand-ins, and where and on which environment a program finds them."""

    spoonacular: SpoonacularFake
    edamam: EdamamFake
    shop: ShopFake
    directory: Path
    environment: Mapping[str, str]


@asynccontextmanager
async def backdrop(
    directory: Path, *, spoonacular: SpoonacularFake | None = None, shop: ShopFake | None = None
) -> AsyncIterator[Backdrop]:
    """Start the stand-ins, and write the file that leads to them, with nothing in it changed but the ports."""
    assert KEYS
    environment = {
        "HOME": str(directory),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(EXAMPLES),
        **dict(pair.split("=") for pair in KEYS[1].split()),
    }
    async with spoonacular or SpoonacularFake() as first, EdamamFake() as second, shop or ShopFake() as third:
        fakes: dict[str, FakeServer] = {"4001": first, "4002": second, "4003": third}
        text = (EXAMPLES / "fairlead.toml").read_text(encoding="utf-8")
        for port, fake in fakes.items():
            assert f'"http://127.0.0.1:{port}"' in text
            text = text.replace(f'"http://127.0.0.1:{port}"', f'"{fake.url}"')
        (directory / "fairlead.toml").write_text(text, encoding="utf-8")
        yield Backdrop(first, second, third, directory, environment)
