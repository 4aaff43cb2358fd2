-- Gives a lease back, and says why nothing was stored.
-- KEYS[1] the entry's hash.
-- ARGV: lease token ('' of one who has found that answers can be stored after all), the variant of
-- the lease ('*' if unknown), ms for which it is remembered that answers here cannot be stored (0 if
-- they can), ms without a lease after the first failure (0 if nothing failed), and at most.
-- Returns 0 if the lease is lost, 2 if somebody waits for its end, else 1.
if ARGV[1] == '' then
  redis.call('HDEL', KEYS[1], 'u')
  return 1
end
local variants = {ARGV[2]}
if ARGV[2] == '*' then
  variants = {}
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, 1) == 'l' then variants[#variants + 1] = string.sub(field, 2) end
  end
end
local function mark(field, ms, more)
  local t = redis.call('TIME')
  local till = t[1] * 1000000 + t[2] + math.floor(ms * 1000)
  redis.call('HSET', KEYS[1], field,
    string.format('%08x%08x', math.floor(till / 4294967296), till % 4294967296) .. more)
  if redis.call('PTTL', KEYS[1]) < ms then redis.call('PEXPIRE', KEYS[1], math.ceil(ms)) end
end
for _, variant in ipairs(variants) do
  local lease = redis.call('HGET', KEYS[1], 'l' .. variant)
  if lease and string.sub(lease, 58) == ARGV[1] then
    redis.call('HDEL', KEYS[1], 'l' .. variant)
    local waits = string.sub(lease, 17, 17) == '1'
    -- Of what nobody else asks for, nothing is left here.
    if waits and ARGV[3] * 1 > 0 then mark('u', ARGV[3] * 1, '') end
    if ARGV[4] * 1 > 0 then
      local known = redis.call('HGET', KEYS[1], 'f' .. variant) or ''
      local times = math.min(tonumber(string.sub(known, 17)) or 0, 20)
      mark('f' .. variant, math.min(ARGV[4] * 2 ^ times, ARGV[5] * 1), times + 1)
    end
    return waits and 2 or 1
  end
end
return 0
