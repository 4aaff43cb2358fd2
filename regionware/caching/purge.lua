-- Raises fences and tells the log, in one step.
-- KEYS: clock, fences (hash), ages (sorted set), log (stream).
-- ARGV: position (24 hex digits), microseconds after which a fence may be forgotten, the latest
-- stamp that the caller knows of (0 from another region), names...
-- Returns the stamp.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local clock = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), tonumber(ARGV[3]))
if clock >= now then now = clock + 1 end
local stamp = string.format('%08x%08x', math.floor(now / 4294967296), now % 4294967296)
local event = {}
if redis.call('HEXISTS', KEYS[2], '#') == 0 then
  -- The fences were lost, or never there: see snapshot.lua.
  local all = stamp .. string.rep('0', 24)
  redis.call('HSET', KEYS[2], '#', stamp, 'h*', all)
  event = {'h*', all}
end
for i = 4, #ARGV do
  local position = ARGV[1]
  local known = redis.call('HGET', KEYS[2], ARGV[i])
  if known and string.sub(known, 17) > position then position = string.sub(known, 17) end
  redis.call('HSET', KEYS[2], ARGV[i], stamp .. position)
  redis.call('ZADD', KEYS[3], string.format('%.0f', now), ARGV[i])
  event[#event + 1] = ARGV[i]
  event[#event + 1] = stamp .. position
end
-- Of very many, the oldest go, with every entry that is as old: '~' is the stamp up to which.
-- Those of the last minutes stay: a replica may still lag behind their positions.
local many = redis.call('ZCARD', KEYS[3]) - 100000
if many > 0 then
  local till = string.format('%.0f', now - 600000000)
  local old = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', till, 'WITHSCORES', 'LIMIT', 0, math.min(many + 100, 1000))
  for i = 1, #old, 2 do
    redis.call('HDEL', KEYS[2], old[i])
    redis.call('ZREM', KEYS[3], old[i])
  end
  if #old > 0 then
    local last = tonumber(old[#old])
    local horizon = string.format('%08x%08x', math.floor(last / 4294967296), last % 4294967296)
    redis.call('HSET', KEYS[2], '~', horizon)
    event[#event + 1] = '~'
    event[#event + 1] = horizon
  end
end
redis.call('SET', KEYS[1], string.format('%.0f', now))
redis.call('XADD', KEYS[4], 'MAXLEN', '~', 100000, string.format('%.0f', now) .. '-0', unpack(event))
local old = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now - ARGV[2]), 'LIMIT', 0, 1000)
if #old > 0 then
  redis.call('HDEL', KEYS[2], unpack(old))
  redis.call('ZREM', KEYS[3], unpack(old))
end
return stamp
