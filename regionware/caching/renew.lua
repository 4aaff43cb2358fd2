-- Renews a lease that still stands.
-- KEYS[1] the entry's hash.
-- ARGV: lease token, its variant, lease in ms.
-- Returns 1 if it is renewed, 0 if it is lost.
local lease = redis.call('HGET', KEYS[1], 'l' .. ARGV[2])
if not lease or string.sub(lease, 58) ~= ARGV[1] then return 0 end
local t = redis.call('TIME')
local till = t[1] * 1000000 + t[2] + ARGV[3] * 1000
redis.call('HSET', KEYS[1], 'l' .. ARGV[2],
  string.format('%08x%08x', math.floor(till / 4294967296), till % 4294967296) .. string.sub(lease, 17))
if redis.call('PTTL', KEYS[1]) < ARGV[3] * 1 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1
