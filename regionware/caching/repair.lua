-- Removes what cannot be read, if it is still what was found.
-- KEYS[1] the entry's hash, or whatever stands in its place.
-- ARGV: the field, and the SHA-1 of what was found in it.
-- Returns 1 if something was removed, 0 if not.
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind ~= 'hash' and kind ~= 'none' then return redis.call('DEL', KEYS[1]) end
local held = redis.call('HGET', KEYS[1], ARGV[1])
if not held or redis.sha1hex(held) ~= ARGV[2] then return 0 end
-- Without the names nobody finds any of the variants.
if ARGV[1] == 'vary' then return redis.call('DEL', KEYS[1]) end
return redis.call('HDEL', KEYS[1], ARGV[1])
