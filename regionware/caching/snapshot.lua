-- All fences, the clock, and where the log stands, read at one moment.
-- KEYS: clock, fences (hash), log (stream). Returns stamp, log position, names and fences. The
-- field '#' of the hash says when it began.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local clock = tonumber(redis.call('GET', KEYS[1]) or '0')
if clock >= now then now = clock + 1 end
local stamp = string.format('%08x%08x', math.floor(now / 4294967296), now % 4294967296)
-- Fences that were lost, by eviction or with their server, must not bring back what they refused.
if redis.call('HEXISTS', KEYS[2], '#') == 0 then
  local all = stamp .. string.rep('0', 24)
  redis.call('HSET', KEYS[2], '#', stamp, 'h*', all)
  redis.call('SET', KEYS[1], string.format('%.0f', now))
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', 100000, string.format('%.0f', now) .. '-0', 'h*', all)
end
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
return {
  stamp,
  last[1] and last[1][1] or '0-0',
  redis.call('HGETALL', KEYS[2]),
}
