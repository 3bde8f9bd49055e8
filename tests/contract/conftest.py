"""The servers that drivers are held against."""

from job_store_fixtures import address, clock, opened, postgres
from redis_fixtures import servers

__all__ = ["address", "clock", "opened", "postgres", "servers"]
