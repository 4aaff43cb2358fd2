#!lua flags=allow-oom
-- The workers that may still trust their memory, and have not applied a purge.
-- KEYS: workers (hash), fences (hash). ARGV: the purge's stamp, microseconds of silence after which
-- a worker trusts its memory no more, the stamp that the region's history must not be later than,
-- what to call those who may have been forgotten. Returns their names.
local function hex(n) return string.format('%08x%08x', math.floor(n / 4294967296), n % 4294967296) end
local t = redis.call('TIME')
local time = t[1] * 1000000 + t[2]
local now, since = hex(time), hex(time - ARGV[2])
local workers, late = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #workers, 2 do
  local applied, heard = string.sub(workers[i + 1], 1, 16), string.sub(workers[i + 1], 17)
  if heard > now then
    -- By a clock that has gone back since. If it is silent from now on, that counts from now on.
    heard = now
    redis.call('HSET', KEYS[1], workers[i], applied .. heard)
  end
  if applied < ARGV[1] and heard >= since then late[#late + 1] = workers[i] end
end
-- The epoch (see snapshot.lua) is the stamp at which the history began. What was before is gone, and
-- the workers with it: for as long as they may trust their memory, nobody knows that there are none.
local epoch = redis.call('HGET', KEYS[2], '#')
if not epoch or string.sub(epoch, 1, 16) > ARGV[3] then late[#late + 1] = ARGV[4] end
return late
