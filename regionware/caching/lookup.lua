-- Finds an entry or grants the lease, in one round trip.
-- KEYS[1] the entry's hash: one key, so one slot of a cluster.
-- ARGV: need (24 hex digits or ''), floor (16 hex digits: entries begun at or before it are
-- overtaken), lease token ('' if none is wanted), lease in ms, request fields ("name:value\n", sorted by name), the latest
-- stamp that the caller knows of, microseconds: the region's clock never goes back.
-- Returns: the stamp, the frame or '', the names in Vary, 1 if the lease was granted.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local known = tonumber(ARGV[6])
if known >= now then now = known + 1 end
local hexnow = string.format('%08x%08x', math.floor(now / 4294967296), now % 4294967296)

local spec = redis.pcall('HGET', KEYS[1], 'vary')
if type(spec) == 'table' then
  if string.sub(spec.err, 1, 9) ~= 'WRONGTYPE' then return spec end
  -- Nothing looks like this among names, so the caller has it removed.
  return {hexnow, '', '(no hash)', 0}
end
local variant = ''
if spec and spec ~= '' then
  local lines = {}
  local fields = '\n' .. ARGV[5]
  for name in string.gmatch(spec, '[^,]+') do
    local from, to = string.find(fields, '\n' .. name .. ':', 1, true)
    local value = ''
    if from then value = string.sub(fields, to + 1, string.find(fields, '\n', to, true) - 1) end
    lines[#lines + 1] = name .. ':' .. value
  end
  variant = redis.sha1hex(table.concat(lines, '\n'))
end

local found = redis.call('HMGET', KEYS[1], 'e' .. variant, 'l' .. variant)
local frame = found[1] or ''
if string.sub(frame, 1, 4) == 'RWF1'
    and string.sub(frame, 5, 20) > ARGV[2]
    and string.sub(frame, 21, 36) > hexnow
    and (ARGV[1] == '' or (string.sub(frame, 37, 44) == string.sub(ARGV[1], 1, 8)
                           and string.sub(frame, 37, 60) >= ARGV[1])) then
  return {hexnow, frame, spec or '', 0}
end

-- A lease is "token@stamp of its end".
local lease = found[2]
if ARGV[3] == '' or lease and string.sub(lease, -16) > hexnow then return {hexnow, frame, spec or '', 0} end
local till = now + ARGV[4] * 1000
redis.call('HSET', KEYS[1], 'l' .. variant, ARGV[3] .. '@' ..
  string.format('%08x%08x', math.floor(till / 4294967296), till % 4294967296))
if redis.call('PTTL', KEYS[1]) < ARGV[4] * 1 then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return {hexnow, frame, spec or '', 1}
