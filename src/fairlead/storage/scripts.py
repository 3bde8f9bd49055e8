"""What Redis does in one step, in Lua 5.1. Each script has a twin in Python, of the tests or for one process."""

from __future__ import annotations

from fairlead.storage import leases as port
from fairlead.storage.redis import Script

#: The server's clock in seconds, unless a test gives the time as the first argument.
NOW = """
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end
"""

# `_Log` of tests/memory_leases.py: `s` the slots in order, `p` their points, `u` the sum.
_LOG = f"""
local ROUNDING = {port.ROUNDING}
local function grain(span) return span.per_s * {port.GRAIN} end
local function sweep(log, span, now)
  local gone = 0
  while log.s[gone + 1] and log.s[gone + 1] * grain(span) + span.per_s <= now do
    gone = gone + 1
    log.u = log.u - log.p[gone]
  end
  local left = #log.s - gone
  if gone > 0 then
    for at = 1, left do log.s[at], log.p[at] = log.s[at + gone], log.p[at + gone] end
    for at = left + gone, left + 1, -1 do log.s[at], log.p[at] = nil, nil end
  end
  if left == 0 then log.u = 0 end
end
local function change(log, span, instant, points)
  local slot = math.ceil(instant / grain(span))
  local at = #log.s
  while at > 0 and log.s[at] > slot do at = at - 1 end
  if at == 0 or log.s[at] ~= slot then
    if points <= 0 then return end
    at = at + 1
    table.insert(log.s, at, slot)
    table.insert(log.p, at, 0)
  elseif points < 0 then
    points = math.max(points, -log.p[at])
  end
  log.p[at] = log.p[at] + points
  log.u = log.u + points
  if log.p[at] <= ROUNDING then
    log.u = log.u - log.p[at]
    table.remove(log.s, at)
    table.remove(log.p, at)
  end
end
local function turn(log, span, now, points)
  local excess = log.u + points - span.amount
  if excess <= span.amount * ROUNDING then return now end
  for at, slot in ipairs(log.s) do
    excess = excess - log.p[at]
    if excess <= span.amount * ROUNDING then return slot * grain(span) + span.per_s end
  end
  return math.huge
end
"""

#: KEYS: the limit. ARGV: now or '', the process, least, waiting, ahead, patience_s, least_s, epoch, how many spans,
#: then amount and per_s of each, then number, spent, age_s and 0 or 1 of each report. Answers epoch, number, points,
#: starts_in_s and lasts_s, as text.
LEASE = Script(
    NOW
    + _LOG
    + f"""
local process = ARGV[2]
local least, waiting, ahead = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local patience, lasts = tonumber(ARGV[6]), tonumber(ARGV[7])
local spans, shortest, longest, smallest = {{}}, math.huge, 0, math.huge
local next = 10
for at = 1, tonumber(ARGV[9]) do
  local span = {{amount = tonumber(ARGV[next]), per_s = tonumber(ARGV[next + 1])}}
  spans[at] = span
  shortest, longest = math.min(shortest, span.per_s), math.max(longest, span.per_s)
  smallest = math.min(smallest, span.amount)
  next = next + 2
end

local text = redis.call('GET', KEYS[1])
local limit = text and cmsgpack.unpack(text) or {{logs = {{}}, leases = {{}}, asked = {{}}}}
if not limit.epoch then limit.epoch = math.floor(now * 1000) + 1; limit.number = limit.epoch end
for at, span in ipairs(spans) do
  limit.logs[at] = limit.logs[at] or {{s = {{}}, p = {{}}, u = 0}}
  sweep(limit.logs[at], span, now)
end
local function change_all(instant, points)
  for at, span in ipairs(spans) do change(limit.logs[at], span, instant, points) end
end
for key, lease in pairs(limit.leases) do
  if lease[3] + {port.MEMORY_S} <= now then limit.leases[key] = nil end
end

local function answer(number, points, starts, lasts)
  local keep = longest + {port.LONGEST_S} + {port.MEMORY_S}
  for at, span in ipairs(spans) do
    local last = limit.logs[at].s[#limit.logs[at].s]
    if last then keep = math.max(keep, last * grain(span) - now + longest + {port.MEMORY_S}) end
  end
  redis.call('SET', KEYS[1], cmsgpack.pack(limit), 'PX', math.ceil(keep * 1000))
  local function text(value) return string.format('%.9f', value) end
  return {{tostring(limit.epoch), tostring(number), text(points), text(starts), text(lasts)}}
end
local epoch = tonumber(ARGV[8])
if epoch ~= 0 and epoch ~= limit.epoch then return answer(0, 0, 0, 0) end

while ARGV[next] do
  local number, key = ARGV[next], process .. ':' .. ARGV[next]
  local lease, is_over = limit.leases[key], ARGV[next + 3] == '1'
  if number == '0' then
    local age = tonumber(ARGV[next + 2])
    for at, span in ipairs(spans) do
      if age < span.per_s then change(limit.logs[at], span, now - age, tonumber(ARGV[next + 1])) end
    end
  elseif lease then
    local spent = math.min(math.max(0, tonumber(ARGV[next + 1]) - lease[2]), lease[1])
    local rest = is_over and lease[1] - spent or 0
    change_all(lease[3], -spent - rest)
    change_all(math.min(lease[3], now - tonumber(ARGV[next + 2])), spent)
    lease[1] = lease[1] - spent - rest
    lease[2] = lease[2] + spent
    if is_over then limit.leases[key] = nil end
  end
  next = next + 4
end

if waiting <= 0 and ahead <= 0 then return answer(0, 0, 0, 0) end

limit.asked[process] = now
local active, since = 0, now - math.max(1, {port.ACTIVE} * shortest)
for each, at in pairs(limit.asked) do
  if at >= since then active = active + 1 else limit.asked[each] = nil end
end
local free = math.huge
for at, span in ipairs(spans) do free = math.min(free, span.amount - limit.logs[at].u) end
free = math.max(0, free)
local slack = smallest * ROUNDING
lasts = math.max(math.min({port.SHORT} * shortest, {port.SHORTEST_S}), lasts)
local line = now
for _, lease in pairs(limit.leases) do line = math.max(line, lease[4]) end
local points, starts
if least > smallest + slack then return answer(0, 0, math.huge, 0) end
if line <= now and least <= free + slack then
  local most = waiting
  if active > 1 then most = math.min(waiting, math.max(least, math.floor({port.PART} * smallest / active))) end
  points = math.min(math.max(free, least), most)
  points = points + math.max(0, math.floor(math.min(ahead, (free - points) / (2 * active))))
  starts = now
  local is_easy = true
  for at, span in ipairs(spans) do is_easy = is_easy and limit.logs[at].u + points <= span.amount / 2 end
  if is_easy then lasts = math.max(lasts, math.min({port.LONG} * shortest, {port.LONGEST_S})) end
else
  points = math.max(least, math.min(waiting, math.floor({port.TURN} * smallest)))
  starts = line
  for at, span in ipairs(spans) do starts = math.max(starts, turn(limit.logs[at], span, now, points)) end
end
if points <= 0 or starts - now > patience then return answer(0, 0, math.max(0, starts - now), 0) end
limit.number = limit.number + 1
limit.leases[process .. ':' .. limit.number] = {{points, 0, starts + lasts, starts}}
change_all(starts + lasts, points)
return answer(limit.number, points, starts - now, lasts)
"""
)

# A breaker's hash: generation, state, open_for_s, until, cause, probe, holder, probe_until. `tell` writes it for people
# and for machines alike, as JSON.
_BREAKER = """
local function told()
  local state = redis.call('HMGET', KEYS[1], 'generation', 'state', 'open_for_s', 'until', 'cause')
  local cause = state[5]
  if not cause or cause == '' then cause = nil end
  return cjson.encode({
    key = ARGV[2], generation = tonumber(state[1] or '0'), state = state[2] or 'closed',
    open_for_s = tonumber(state[3] or '0'), left_s = math.max(0, tonumber(state[4] or '0') - now), cause = cause,
  })
end
"""

#: KEYS: the breaker. ARGV: now or '', the key, state, generation, open_for_s, cause, probe, 0 or 1 for by hand, the
#: channel. Answers what holds, as JSON.
PROPOSE = Script(
    NOW
    + _BREAKER
    + """
local holds = redis.call('HMGET', KEYS[1], 'generation', 'probe')
local generation, probe = tonumber(holds[1] or '0'), tonumber(holds[2] or '0')
local from = tonumber(ARGV[4])
if (from < generation or tonumber(ARGV[7]) ~= probe) and ARGV[8] ~= '1' then return told() end
redis.call('HSET', KEYS[1], 'generation', math.max(generation, from) + 1, 'state', ARGV[3], 'open_for_s', ARGV[5],
  'until', string.format('%.6f', now + tonumber(ARGV[5])), 'cause', ARGV[6], 'probe', 0, 'holder', '')
local text = told()
redis.call('PUBLISH', ARGV[9], text)
return text
"""
)

#: KEYS: the breaker. ARGV: now or '', the key. Answers what holds, as JSON.
LEARN = Script(NOW + _BREAKER + "return told()")

#: KEYS: the breaker, the last number of a probe. ARGV: now or '', generation, process, lease_s. Answers a number, or 0.
PROBE = Script(
    NOW
    + """
local holds = redis.call('HMGET', KEYS[1], 'generation', 'until', 'probe', 'holder', 'probe_until')
local is_free = tonumber(holds[3] or '0') == 0 or tonumber(holds[5] or '0') <= now or holds[4] == ARGV[3]
if tonumber(holds[1] or '0') ~= tonumber(ARGV[2]) or tonumber(holds[2] or '0') > now or not is_free then return 0 end
local number = redis.call('INCR', KEYS[2])
redis.call('HSET', KEYS[1], 'probe', number, 'holder', ARGV[3],
  'probe_until', string.format('%.6f', now + tonumber(ARGV[4])))
return number
"""
)

#: KEYS: the processes. ARGV: now or '', this one, the seconds after which one that is silent is gone. Answers how many.
BEAT = Script(
    NOW
    + """
redis.call('ZADD', KEYS[1], now, ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[3]))
redis.call('PEXPIRE', KEYS[1], math.ceil(tonumber(ARGV[3]) * 1000))
return redis.call('ZCARD', KEYS[1])
"""
)

# The slots of a quota that count; older ones go. A hash of slot to points, as `MemoryQuotas` has it.
_QUOTA = """
local slot, slots, points = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local used, counts = 0, {}
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  if tonumber(all[at]) <= slot - slots then
    redis.call('HDEL', KEYS[1], all[at])
  else
    counts[all[at]] = tonumber(all[at + 1])
    used = used + counts[all[at]]
  end
end
local function count(more)
  local value = math.max(0, (counts[ARGV[1]] or 0) + more)
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.17g', value))
  redis.call('EXPIRE', KEYS[1], 34560000)
end
"""

#: KEYS: the quota. ARGV: slot, slots, points, most. Answers 1 or 0.
QUOTA_ADD = Script(
    _QUOTA
    + """
if used + points > tonumber(ARGV[4]) * (1 + 1e-9) then return 0 end
count(points)
return 1
"""
)
#: The same without `most`: changes a slot, if it is still there.
QUOTA_CORRECT = Script(_QUOTA + "if points > 0 or counts[ARGV[1]] then count(points) end return 1")
#: Counts what is missing.
QUOTA_RAISE = Script(_QUOTA + "if points > used then count(points - used) end return 1")
#: Answers the sum, as text.
QUOTA_USED = Script(_QUOTA + "return string.format('%.17g', used)")

#: KEYS: what is used up of one connection's limits. ARGV: now or '', the limit, left_s, what to publish and keep, the
#: channel. A hash of the limit to its end and that text.
SPENT_TELL = Script(
    NOW
    + """
local left = tonumber(ARGV[3])
local keep = math.max(math.ceil(left * 1000), 1)
redis.call('HSET', KEYS[1], ARGV[2], string.format('%.6f', now + left) .. ' ' .. ARGV[4])
if redis.call('PTTL', KEYS[1]) < keep then redis.call('PEXPIRE', KEYS[1], keep) end
redis.call('PUBLISH', ARGV[5], ARGV[4])
return 1
"""
)
#: KEYS: the same. ARGV: now or ''. Answers the seconds left and the text of each, in turn; what is over goes.
SPENT_LEARN = Script(
    NOW
    + """
local all, told = redis.call('HGETALL', KEYS[1]), {}
for at = 1, #all, 2 do
  local space = string.find(all[at + 1], ' ')
  local left = tonumber(string.sub(all[at + 1], 1, space - 1)) - now
  if left > 0 then
    table.insert(told, string.format('%.6f', left))
    table.insert(told, string.sub(all[at + 1], space + 1))
  else
    redis.call('HDEL', KEYS[1], all[at])
  end
end
return told
"""
)
