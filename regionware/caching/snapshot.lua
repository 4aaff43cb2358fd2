#!lua flags=allow-oom
-- All fences, the clock, and where the log stands, read at one moment; the worker is heard of.
-- KEYS: clock, fences (hash), log (stream), workers (hash), wakes (stream).
-- ARGV: the latest stamp that the caller knows of, the epoch that it knows ('' if none), the
-- worker's name, microseconds of silence after which a worker is forgotten, and those after which it
-- needs no fence.
-- Returns: the stamp, where to go on in the log, names and fences, where to go on in the wakes.
local function hex(n) return string.format('%08x%08x', math.floor(n / 4294967296), n % 4294967296) end
local t = redis.call('TIME')
local heard = t[1] * 1000000 + t[2]
local now = heard
local before = redis.call('GET', KEYS[1]) or '0'
local clock = tonumber(before)
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
if last then clock = math.max(clock, tonumber(string.match(last[1], '^%d+'))) end
if clock >= now then now = clock + 1 end
-- The epoch, '#' among the fences, is the stamp since which they are complete, and the server that
-- they are complete in. Another server has inherited them: the purges that its predecessor
-- acknowledged last may be missing. So may those of fences that were lost. Then everything is
-- purged, later than all that the caller knows of: the clock may have gone back too.
local info = redis.pcall('INFO', 'server')
local server = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
local epoch, known = redis.call('HGET', KEYS[2], '#'), tonumber(ARGV[1])
local ends = not epoch or server ~= '' and string.sub(epoch, 18) ~= server
if not ends and ARGV[2] ~= '' and string.sub(ARGV[2], 18) ~= string.sub(epoch, 18) then
  ends = hex(known) >= string.sub(epoch, 1, 16)
end
if ends then
  if known >= now then now = known + 1 end
  local id, all = string.format('%.0f', now), redis.call('HGET', KEYS[2], 'h*')
  all = hex(now) .. (all and string.sub(all, 17) or string.rep('0', 24))
  epoch, clock = hex(now) .. ':' .. server, now
  redis.call('HSET', KEYS[2], '#', epoch, 'h*', all)
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', 100000, id .. '-0', '<', before, '#', epoch, 'h*', all)
end
if clock ~= tonumber(before) then redis.call('SET', KEYS[1], string.format('%.0f', clock)) end
-- Said at the start, for one that stores and never purges: see purge.lua.
local longest = tonumber(redis.call('HGET', KEYS[2], '%') or '0') or 0
if ARGV[5] * 1 > longest then redis.call('HSET', KEYS[2], '%', ARGV[5]) end
local workers = redis.call('HGETALL', KEYS[4])
for i = 1, #workers, 2 do
  if string.sub(workers[i + 1], 17) < hex(math.max(heard - ARGV[4], 0)) then redis.call('HDEL', KEYS[4], workers[i]) end
end
redis.call('HSET', KEYS[4], ARGV[3], hex(clock) .. hex(heard))
local wake = redis.call('XREVRANGE', KEYS[5], '+', '-', 'COUNT', 1)[1]
return {
  hex(now),
  string.format('%.0f-0', clock),
  redis.call('HGETALL', KEYS[2]),
  wake and wake[1] or '0-0',
}
