from __future__ import annotations

from collections.abc import Mapping

import pytest

from fairlead.errors import InvalidSettingError, UnresolvedReferenceError
from fairlead.model.secret import Secret
from fairlead.vault.references import resolve

CANARY = "sk_live_8731"
WHERE = "my.toml: connections.a.credentials.key"


class Sources:
    """An environment and files that are not those of this process."""

    def __init__(self, environment: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None) -> None:
        self._environment = environment or {}
        self._files = files or {}

    def environment(self, name: str) -> str | None:
        return self._environment.get(name)

    def file(self, path: str) -> str | None:
        return self._files.get(path)


def test_a_variable() -> None:
    assert resolve("env:KEY", Sources({"KEY": CANARY}), where=WHERE) == Secret(CANARY)


def test_a_variable_is_taken_as_it_is() -> None:
    assert resolve("env:KEY", Sources({"KEY": " a\n"}), where=WHERE).reveal() == " a\n"


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_a_file_without_its_end_of_line(end: str) -> None:
    sources = Sources(files={"/run/key": f" {CANARY}{end}"})
    assert resolve("file:/run/key", sources, where=WHERE).reveal() == f" {CANARY}"


@pytest.mark.parametrize("reference", ["env:OTHER", "env:EMPTY"])
def test_a_variable_that_is_not_there(reference: str) -> None:
    with pytest.raises(UnresolvedReferenceError) as caught:
        resolve(reference, Sources({"EMPTY": "", "KEY": CANARY}), where=WHERE)
    name = reference.partition(":")[2]
    assert str(caught.value) == f"{WHERE}: the environment has no {name}. Set it: export {name}=..."


@pytest.mark.parametrize("pasted", ["", CANARY, f"sk_live_{CANARY}"])
def test_a_secret_pasted_after_env_is_not_shown(pasted: str) -> None:
    with pytest.raises(UnresolvedReferenceError, match="no variable of the name after env:") as caught:
        resolve(f"env:{pasted}", Sources(), where=WHERE)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("reference", ["file:/other", "file:/empty", "file:"])
def test_a_file_that_is_not_there(reference: str) -> None:
    with pytest.raises(UnresolvedReferenceError, match="cannot be read or is empty") as caught:
        resolve(reference, Sources(files={"/empty": "\n"}), where=WHERE)
    assert str(caught.value).startswith(WHERE)


@pytest.mark.parametrize("text", [CANARY, f"vault:{CANARY}", f"ENV:{CANARY}", f":{CANARY}", f" env:{CANARY}", ""])
def test_a_secret_does_not_stand_in_the_configuration(text: str) -> None:
    with pytest.raises(InvalidSettingError) as caught:
        resolve(text, Sources(), where=WHERE)
    assert str(caught.value).startswith(f"{WHERE} holds a secret in plain text.")
    assert CANARY not in str(caught.value)


def test_what_is_not_secret_may() -> None:
    assert resolve("my-app", Sources(), where=WHERE, is_secret=False).reveal() == "my-app"
    assert resolve("env:APP", Sources({"APP": "x"}), where=WHERE, is_secret=False).reveal() == "x"
