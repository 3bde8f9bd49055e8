"""`fairlead calls`, over a store that something else has written."""

from __future__ import annotations

from pathlib import Path

from cli.shell import fairlead
from fairlead.config.read import read_settings
from fairlead.runtime.fairlead import Fairlead

_CONFIG = """
[connections.shop]
base_url = "http://127.0.0.1:1"
allow_private = true

[storage]
url = "{path}"
"""


async def kept(tmp_path: Path) -> tuple[str, str]:
    config = tmp_path / "app.toml"
    config.write_text(_CONFIG.format(path=tmp_path / "jobs.db"))
    fl = Fairlead(read_settings(config))
    fl.desk.wake = lambda: None
    call = await fl.http("shop").post("/things", json={"a": 1}, background=True)
    await fl.close()
    return str(config), call.id


async def test_calls_are_listed_shown_and_cancelled(tmp_path: Path) -> None:
    config, call_id = await kept(tmp_path)
    listed = await fairlead("calls", "list", "--config", config, "--json")
    assert [each["id"] for each in listed.json()["calls"]] == [call_id]
    assert call_id in (await fairlead("calls", "list", "--config", config)).out
    assert "http.post" in (await fairlead("calls", "show", call_id, "--config", config)).out
    cancelled = await fairlead("calls", "cancel", call_id, "--config", config, "--json")
    assert (cancelled.code, cancelled.json()) == (0, {"cancelled": True})
    assert (await fairlead("calls", "cancel", call_id, "--config", config)).code == 1
    retried = await fairlead("calls", "retry", call_id, "--config", config, "--json")
    assert retried.json() == {"retried": True}
    shown = await fairlead("calls", "show", call_id, "--config", config, "--json")
    assert (shown.json()["state"], shown.json()["failures"]) == ("waiting", 0)


async def test_what_is_not_there_and_what_is_not_in_doubt_is_told_so(tmp_path: Path) -> None:
    config, call_id = await kept(tmp_path)
    gone = await fairlead("calls", "show", "nothing", "--config", config, "--json")
    assert (gone.code, gone.json()["error"]["code"]) == (2, "unknown_call")
    settled = await fairlead("calls", "settle", call_id, "done", "--evidence", "seen", "--config", config)
    assert settled.code == 1
