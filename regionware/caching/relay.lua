#!lua flags=allow-oom
-- Takes or keeps the right to relay to one region, and notes how far that has come.
-- KEYS: lock, relayed (hash), outbox (stream).
-- ARGV: token, milliseconds for which the right holds (0 gives it back), region, the stamp up to
-- which the region has confirmed ('' if nothing new), every region that is relayed to...
-- Returns the server's clock and the stamp up to which the region has confirmed; or, where another
-- worker has the right, nothing.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return {} end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
local confirmed = redis.call('HGET', KEYS[2], ARGV[3]) or '0'
if ARGV[4] ~= '' then
  -- Never back: another may have had the right meanwhile.
  if tonumber(ARGV[4]) > tonumber(confirmed) then
    confirmed = ARGV[4]
    redis.call('HSET', KEYS[2], ARGV[3], confirmed)
  end
  local least = tonumber(confirmed)
  for i = 5, #ARGV do least = math.min(least, tonumber(redis.call('HGET', KEYS[2], ARGV[i]) or '0')) end
  redis.call('XTRIM', KEYS[3], 'MINID', string.format('%.0f', least + 1))
end
local t = redis.call('TIME')
return {string.format('%.0f', t[1] * 1000000 + t[2]), confirmed}
