"""The gateway: the same engine for callers of any language, over HTTP."""
