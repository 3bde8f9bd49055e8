"""A package of somebody else, with a provider and its stand-in, as pip would have installed it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_CODE = """
from fairlead.capabilities.recipes import Recipes
from fairlead.spec.provider import Bearer, Credential, Provider
from fairlead.testing.exchange import FakeReply
from fairlead.testing.server import FakeServer


class AcmeRecipes(Recipes):
    def fetch(self, identifier):
        raise NotImplementedError
        yield


class AcmeFake(FakeServer):
    CREDENTIALS = {"token": "it's fake"}

    def operation(self, request):
        return "any"

    def answer(self, request):
        return FakeReply.json(200, {})


PROVIDER = Provider(
    id="acme",
    title="Acme\\x1b[31m [bold]Cookery",
    docs_url="https://acme.example/docs",
    api_version="1",
    base_url="https://api.acme.example",
    credentials=(Credential(name="token", label="Token", help="By post"),),
    auth=Bearer(),
    capabilities={"recipes": AcmeRecipes},
)
"""
_ENTRY_POINTS = """
[fairlead.providers]
acme = acme:PROVIDER
broken = nowhere_at_all:PROVIDER

[fairlead.fakes]
acme = acme:AcmeFake
"""


def install(directory: Path) -> Mapping[str, str]:
    """Install the package; return the environment in which it is found."""
    (directory / "acme.py").write_text(_CODE)
    info = directory / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(_ENTRY_POINTS)
    return {"PYTHONPATH": str(directory)}
