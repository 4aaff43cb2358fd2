-- Stores an entry, for the holder of the lease or for one who fills beside it.
-- KEYS[1] the entry's hash.
-- ARGV: lease token ('' of one who fills beside the holder), the variant of the lease, the names in
-- Vary joined by commas, the variant to store, the frame, its life in ms, the most variants of a key.
-- Returns 0 if the lease is lost, 2 if somebody waits for its end, else 1.
local done = 1
if ARGV[1] ~= '' then
  local lease = redis.call('HGET', KEYS[1], 'l' .. ARGV[2])
  if not lease or string.sub(lease, 58) ~= ARGV[1] then return 0 end
  if string.sub(lease, 17, 17) == '1' then done = 2 end
  redis.call('HDEL', KEYS[1], 'l' .. ARGV[2])
end
-- By other names nobody finds the variants of before; and of too many, some go. The leases of others
-- stay, but for those that are over.
local others = (redis.call('HGET', KEYS[1], 'vary') or '') ~= ARGV[3]
if others or redis.call('HLEN', KEYS[1]) > ARGV[7] * 2 then
  local t, variants = redis.call('TIME'), {}
  local now = t[1] * 1000000 + t[2]
  local time = string.format('%08x%08x', math.floor(now / 4294967296), now % 4294967296)
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    local kind, variant = string.sub(field, 1, 1), string.sub(field, 2)
    if kind == 'l' then
      if string.sub(redis.call('HGET', KEYS[1], field), 1, 16) <= time then redis.call('HDEL', KEYS[1], field) end
    elseif (kind == 'e' or kind == 'f') and (others or variant ~= ARGV[4]) and not variants[variant] then
      variants[variant] = true
      variants[#variants + 1] = variant
    end
  end
  for i = 1, #variants - (others and 0 or ARGV[7] - 1) do
    redis.call('HDEL', KEYS[1], 'e' .. variants[i], 'f' .. variants[i])
  end
end
local known = redis.call('HGET', KEYS[1], 'e' .. ARGV[4])
-- Garbage is not newer than anything. Of another version, the stamps stand in the same place.
if known and string.sub(known, 1, 3) == 'RWF' and string.sub(known, 5, 20) > string.sub(ARGV[5], 5, 20) then return done end
redis.call('HSET', KEYS[1], 'vary', ARGV[3], 'e' .. ARGV[4], ARGV[5])
redis.call('HDEL', KEYS[1], 'u', 'f' .. ARGV[4])
if redis.call('PTTL', KEYS[1]) < ARGV[6] * 1 then redis.call('PEXPIRE', KEYS[1], ARGV[6]) end
return done
