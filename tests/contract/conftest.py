"""The servers that drivers are held against."""

from job_store_fixtures import clock, opened
from redis_fixtures import servers

__all__ = ["clock", "opened", "servers"]
