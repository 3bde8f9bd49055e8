from __future__ import annotations

from fairlead.model.outcome import Phase


def test_the_border_is_sending() -> None:
    assert [phase for phase in Phase if not phase.was_sent] == [Phase.QUEUED, Phase.RESOLVING, Phase.CONNECTING]
    assert list(Phase) == sorted(Phase)
