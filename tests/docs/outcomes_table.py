"""The table of `docs/explanation/outcomes.md`, made from the code: `python tests/docs/outcomes_table.py --write`."""

from __future__ import annotations

import sys
from pathlib import Path

from fairlead.model.outcome import Effect, Failure
from fairlead.spec.outcomes import TABLE, Row

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "outcomes.md"
BEGIN = "<!-- table: made by tests/docs/outcomes_table.py -->"
END = "<!-- /table -->"
REFRESH = "python tests/docs/outcomes_table.py --write"

_HEAD = ("name", "seen", "sent", *Effect, "transient", "wait", "error", "reason")


def render() -> str:
    """Return the table as Markdown."""
    rows = [_HEAD, ("---",) * len(_HEAD), *map(_cells, TABLE)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def refreshed(page: str) -> str:
    """Return the page with the table as it should be."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE} has lost the marks {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n{render()}\n{END}{after}"


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        _seen(row),
        {None: "any", False: "before", True: "after"}[_was_sent(row)],
        *(row.outcome[effect].value.replace("_", " ") for effect in Effect),
        "if keyed" if row.only_if_keyed else "yes" if row.is_transient else "no",
        row.wait.value.replace("_", " "),
        f"`{row.error.code}`" if row.error else "none",
        row.reason,
    )


def _seen(row: Row) -> str:
    if isinstance(row.seen, Failure):
        return f"`{row.seen}`"
    first, last = row.seen
    return f"{first}" if first == last else f"{first} to {last}"


def _was_sent(row: Row) -> bool | None:
    """Say when it can happen; a status is an answer to what was sent, and a second row takes what the first leaves."""
    if isinstance(row.seen, tuple):
        return True
    if row.was_sent is None and any(other.seen is row.seen and other.was_sent is False for other in TABLE):
        return True
    return row.was_sent


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write(f"{render()}\n")
