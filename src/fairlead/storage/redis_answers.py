"""The driver on Redis or Valkey for what the cache keeps. How much that is, is the server's to bound: by `maxmemory`.

Every key is in one slot of a cluster, so that a tag and what has it are dropped in one step. A tag is a sorted set of
keys by their end; what is over leaves it with the next that comes. What the server evicts is a miss.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from fairlead.storage.answers import Kept
from fairlead.storage.redis import Redis, Script
from fairlead.storage.redis_state import Now, time_of
from fairlead.storage.scripts import NOW

# An answer is a hash: its value, when it was stored, when it ends, and its tags, which may hold anything but a NUL.
_ENTRY = (
    NOW
    + """
local base = KEYS[1]
local function forget(key)
  local entry = redis.call('HMGET', base .. ':answer:' .. key, 'until', 'tags')
  if not entry[1] then return 0 end
  for tag in string.gmatch(entry[2], '[^%z]+') do redis.call('ZREM', base .. ':tag:' .. tag, key) end
  redis.call('DEL', base .. ':answer:' .. key)
  return tonumber(entry[1]) > now and 1 or 0
end
"""
)

#: KEYS: the base of all keys. ARGV: now or '', the key. Answers the value and its age as text, or nothing.
_GET = Script(
    NOW
    + """
local entry = redis.call('HMGET', KEYS[1] .. ':answer:' .. ARGV[2], 'value', 'at', 'until')
if not entry[1] or tonumber(entry[3]) <= now then return {} end
return {entry[1], string.format('%.6f', math.max(0, now - tonumber(entry[2])))}
"""
)
#: ARGV: now or '', the key, the value, ttl_s, then the tags.
_PUT = Script(
    _ENTRY
    + """
forget(ARGV[2])
local ttl = tonumber(ARGV[4])
if ttl <= 0 then return 0 end
local ends, keep, tags = string.format('%.6f', now + ttl), math.ceil(ttl * 1000), {}
for at = 5, #ARGV do
  local tag = base .. ':tag:' .. ARGV[at]
  table.insert(tags, ARGV[at])
  redis.call('ZREMRANGEBYSCORE', tag, '-inf', now)
  redis.call('ZADD', tag, ends, ARGV[2])
  if redis.call('PTTL', tag) < keep then redis.call('PEXPIRE', tag, keep) end
end
local entry = base .. ':answer:' .. ARGV[2]
redis.call('HSET', entry, 'value', ARGV[3], 'at', string.format('%.6f', now), 'until', ends,
  'tags', table.concat(tags, string.char(0)))
redis.call('PEXPIRE', entry, keep)
return 1
"""
)
#: ARGV: now or '', the key.
_DROP = Script(_ENTRY + "return forget(ARGV[2])")
#: ARGV: now or '', the tag, the channel. Answers how many were dropped, and tells all.
_DROP_TAG = Script(
    _ENTRY
    + """
local tag, dropped = base .. ':tag:' .. ARGV[2], 0
for _, key in ipairs(redis.call('ZRANGE', tag, 0, -1)) do dropped = dropped + forget(key) end
redis.call('DEL', tag)
redis.call('PUBLISH', ARGV[3], ARGV[2])
return dropped
"""
)


class RedisAnswers:
    """Kept answers (see `storage/answers.py`). `on_dropped` is told of every tag that anybody drops."""

    def __init__(self, redis: Redis, prefix: str, *, now: Now | None = None) -> None:
        self._redis = redis
        self._base = f"{prefix}:{{answers}}"
        self._channel = f"{prefix}:dropped"
        self._now = now
        self.on_dropped: Callable[[str], None] = lambda _: None
        redis.listen(self._channel, lambda payload: self.on_dropped(payload.decode("utf-8", "replace")))

    async def get(self, key: str) -> Kept | None:
        """Return what is kept."""
        found = await self._run(_GET, key)
        return Kept(found[0], float(found[1])) if found else None

    async def put(self, key: str, value: bytes, *, ttl_s: float, tags: Collection[str] = ()) -> None:
        """Keep a value."""
        await self._run(_PUT, key, value, f"{ttl_s:.6f}", *tags)

    async def drop(self, key: str) -> None:
        """Forget a key."""
        await self._run(_DROP, key)

    async def drop_tag(self, tag: str) -> int:
        """Forget everything under a tag, and tell all."""
        return int(await self._run(_DROP_TAG, tag, self._channel))

    async def _run(self, script: Script, *args: str | bytes) -> Any:
        return await self._redis.run(script, [self._base], time_of(self._now), *args)
