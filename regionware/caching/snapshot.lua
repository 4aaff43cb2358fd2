-- All fences, the clock, and where the log stands, read at one moment.
-- KEYS: clock, fences (hash), log (stream). Returns stamp, log position, names and fences.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local clock = tonumber(redis.call('GET', KEYS[1]) or '0')
if clock >= now then now = clock + 1 end
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
return {
  string.format('%08x%08x', math.floor(now / 4294967296), now % 4294967296),
  last[1] and last[1][1] or '0-0',
  redis.call('HGETALL', KEYS[2]),
}
