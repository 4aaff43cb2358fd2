-- Stores an entry, for the holder of the lease or for one who fills beside it.
-- KEYS[1] the entry's hash.
-- ARGV: lease token ('' of one who fills beside the holder), the variant of the lease, the names in
-- Vary joined by commas, the variant to store, the frame, its life in ms, the most variants of a key.
-- Returns 0 if the lease is lost, 2 if somebody waits for its end, else 1.
local done = 1
if ARGV[1] ~= '' then
  local lease = redis.call('HGET', KEYS[1], 'l' .. ARGV[2])
  if not lease or string.sub(lease, 42) ~= ARGV[1] then return 0 end
  if string.sub(lease, 17, 17) == '1' then done = 2 end
  redis.call('HDEL', KEYS[1], 'l' .. ARGV[2])
end
if (redis.call('HGET', KEYS[1], 'vary') or '') ~= ARGV[3] then
  redis.call('DEL', KEYS[1])
elseif redis.call('HLEN', KEYS[1]) > ARGV[7] * 2 then
  redis.call('DEL', KEYS[1])
end
local known = redis.call('HGET', KEYS[1], 'e' .. ARGV[4])
-- Garbage is not newer than anything. Of another version, the stamps stand in the same place.
if known and string.sub(known, 1, 3) == 'RWF' and string.sub(known, 5, 20) > string.sub(ARGV[5], 5, 20) then return done end
redis.call('HSET', KEYS[1], 'vary', ARGV[3], 'e' .. ARGV[4], ARGV[5])
redis.call('HDEL', KEYS[1], 'u', 'f' .. ARGV[4])
if redis.call('PTTL', KEYS[1]) < ARGV[6] * 1 then redis.call('PEXPIRE', KEYS[1], ARGV[6]) end
return done
