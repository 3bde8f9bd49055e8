"""The servers that drivers are held against."""

from redis_fixtures import servers

__all__ = ["servers"]
