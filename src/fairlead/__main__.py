"""`python -m fairlead` is `fairlead`."""

from __future__ import annotations

from fairlead.cli.main import run

if __name__ == "__main__":
    run()
