from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.config.sources import ProcessSources


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_TEST", "value")
    sources = ProcessSources()
    assert sources.environment("FAIRLEAD_TEST") == "value"
    monkeypatch.delenv("FAIRLEAD_TEST")
    assert sources.environment("FAIRLEAD_TEST") is None


def test_a_mapping_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_TEST", "value")
    sources = ProcessSources({"OTHER": "x"})
    assert (sources.environment("OTHER"), sources.environment("FAIRLEAD_TEST")) == ("x", None)


def test_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("ü\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    sources = ProcessSources({})
    assert sources.file(str(tmp_path / "key")) == sources.file("~/key") == "ü\n"


@pytest.mark.parametrize("path", ["missing", ".", "binary", "a\0b", "~nobody-of-this-name/key", ""])
def test_what_cannot_be_read(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "binary").write_bytes(b"\xff")
    monkeypatch.chdir(tmp_path)
    assert ProcessSources({}).file(path) is None
