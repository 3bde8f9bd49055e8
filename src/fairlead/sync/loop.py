"""The event loop that all synchronous clients of a process share."""

from __future__ import annotations

import atexit
import os

from fairlead.runtime.background import Background

BACKGROUND = Background()
atexit.register(BACKGROUND.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=BACKGROUND.halt, after_in_parent=BACKGROUND.resume, after_in_child=BACKGROUND.disown)
