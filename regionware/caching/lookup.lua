-- Finds an entry or grants the lease, in one round trip.
-- KEYS[1] the entry's hash: one key, so one slot of a cluster.
-- ARGV: need (24 hex digits or ''), floor (16 hex digits: entries begun at or before it are
-- overtaken), lease token ('' if none is wanted), lease in ms, request fields ("name:value\n", sorted by name), the latest
-- stamp of a purge that the caller knows of, microseconds: this is later, also where the server's
-- clock has gone back, and not later than the next purge; the floor of what may not even be served
-- stale; '1' if the caller will wait for the holder of the lease, '2' if also where a frame may be
-- served while it is refreshed: it may not be given that, '0' if not at all.
-- Returns: the stamp, the frame or '', the names in Vary, and what to do if the frame is not fresh:
-- 1 the lease is granted, 0 nobody waits for anybody, 'w…' wait for the holder of the lease,
-- 'u…' answers here cannot be stored, 'f…' refreshes fail; each for so many ms. Where it is not the stamp,
-- also: the server's clock.
local t = redis.call('TIME')
-- What was before what is told by the stamp, which stands still until a clock that has gone back has
-- caught up; how long something lasts, by the time, which does not.
local time = t[1] * 1000000 + t[2]
local now, known = time, tonumber(ARGV[6])
if known >= now then now = known + 1 end
local function hex(stamp)
  return string.format('%08x%08x', math.floor(stamp / 4294967296), stamp % 4294967296)
end
local hexnow = hex(now)

local spec = redis.pcall('HGET', KEYS[1], 'vary')
if type(spec) == 'table' then
  if string.sub(spec.err, 1, 9) ~= 'WRONGTYPE' then return spec end
  -- Nothing looks like this among names, so the caller has it removed.
  return {hexnow, '', '(no hash)', 0}
end
spec = spec or ''
local variant = ''
if spec ~= '' then
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

local found = redis.call('HMGET', KEYS[1], 'e' .. variant, 'l' .. variant, 'f' .. variant, 'u')
local frame = found[1] or ''
local hextime = time == now and hexnow or hex(time)
local function reply(verdict)
  if time == now then return {hexnow, frame, spec, verdict} end
  return {hexnow, frame, spec, verdict, hextime}
end

local function promises(position)
  return ARGV[1] == '' or (string.sub(position, 1, 8) == string.sub(ARGV[1], 1, 8) and position >= ARGV[1])
end
local created = string.sub(frame, 5, 20)
-- What was begun later than now, by one who knew a clock that has gone back since, no purge reaches;
-- and how old it is, nobody knows.
local readable = string.sub(frame, 1, 4) == 'RWF1' and created <= hextime and promises(string.sub(frame, 37, 60))
if readable and created > ARGV[2] and string.sub(frame, 21, 36) > hextime then return reply(0) end
if ARGV[3] == '' then return reply(0) end

-- Milliseconds until a stamp of a mark, 0 if it is over, is none, or is beyond any mark of ours.
local function left(stamp, most)
  if not string.match(stamp, '^' .. string.rep('%x', 16) .. '$') then return 0 end
  local ms = math.ceil((tonumber(stamp, 16) - time) / 1000)
  if ms < 0 or ms > most then return 0 end
  return ms
end

local uncacheable = left(found[4] or '', 600000)
if uncacheable > 0 then return reply('u' .. uncacheable) end

-- Until when a frame may be served stale: to revalidate it, and because of an error.
local revalidate, either = 0, 0
if readable and #frame > 96 and created > ARGV[7] then
  local fresh = tonumber(string.sub(frame, 21, 36), 16) or 0
  local first, second = struct.unpack('>I4I4', frame, 89)
  revalidate, either = fresh + first * 1000000, fresh + math.max(first, second) * 1000000
end
local failed = left(string.sub(found[3] or '', 1, 16), 60000)
if failed > 0 and either > time then return reply('f' .. failed) end

-- A lease: when it ends, whether somebody waits, what it will have reached, the stamp of its
-- beginning, its token. One that a purge has overtaken is of no use to who knows of that, and its
-- fill would not be stored in the place of the next one's. Unless that would be overtaken too.
local lease = found[2] or ''
local rest = left(string.sub(lease, 1, 16), ARGV[4] * 2)
if rest > 0 and (string.sub(lease, 42, 57) > ARGV[2] or ARGV[2] >= hexnow) then
  local waits = ARGV[8] == '2' or (ARGV[8] == '1' and revalidate <= time)
  if not waits or not promises(string.sub(lease, 18, 41)) then return reply(0) end
  if string.sub(lease, 17, 17) == '0' then
    redis.call('HSET', KEYS[1], 'l' .. variant, string.sub(lease, 1, 16) .. '1' .. string.sub(lease, 18))
  end
  return reply('w' .. rest)
end
local waits = string.sub(lease, 17, 17) == '1' and '1' or '0'
local need = ARGV[1] ~= '' and ARGV[1] or string.rep('0', 24)
redis.call('HSET', KEYS[1], 'l' .. variant, hex(time + ARGV[4] * 1000) .. waits .. need .. hexnow .. ARGV[3])
if redis.call('PTTL', KEYS[1]) < ARGV[4] * 1 then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return reply(1)
