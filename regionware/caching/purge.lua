-- Raises fences and tells the log, and where there are other regions the outbox, in one step.
-- KEYS: clock, fences (hash), ages (sorted set), log (stream), outbox (stream), relayed (hash).
-- ARGV: position (24 hex digits), microseconds after which the caller needs no fence, the latest
-- stamp that the caller knows of (0 from another region), flags; names...
-- Flags, added up: 1 if it is to be relayed to the receivers of the outbox; 2 if it is to be raised
-- once only, which is known from the last name; 4 if it is to be relayed to edges alone; 8 beside
-- 1 if to regions alone.
-- Returns the stamp.
local function hex(n) return string.format('%08x%08x', math.floor(n / 4294967296), n % 4294967296) end
local flags = tonumber(ARGV[4])
local made = flags % 4 >= 2 and redis.call('HGET', KEYS[2], ARGV[#ARGV])
if made then return string.sub(made, 1, 16) end
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local before = redis.call('GET', KEYS[1]) or '0'
local clock = math.max(tonumber(before), tonumber(ARGV[3]))
if before == '0' then
  -- The clock was lost, or never there: no stream may go back.
  for _, key in ipairs({KEYS[4], KEYS[5]}) do
    local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
    if last then clock = math.max(clock, tonumber(string.match(last[1], '^%d+'))) end
  end
end
if clock >= now then now = clock + 1 end
local stamp = hex(now)
-- '<' is the stamp of the event before this one: a reader that has another is missing something.
local event = {'<', before}
if redis.call('HEXISTS', KEYS[2], '#') == 0 then
  -- The fences were lost, or never there: see snapshot.lua.
  local info = redis.pcall('INFO', 'server')
  local server = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
  local all = stamp .. string.rep('0', 24)
  redis.call('HSET', KEYS[2], '#', stamp .. ':' .. server, 'h*', all)
  for _, each in ipairs({'#', stamp .. ':' .. server, 'h*', all}) do event[#event + 1] = each end
end
local onward = {}
for i = 5, #ARGV do
  local position = ARGV[1]
  local known = redis.call('HGET', KEYS[2], ARGV[i])
  if known and string.sub(known, 17) > position then position = string.sub(known, 17) end
  redis.call('HSET', KEYS[2], ARGV[i], stamp .. position)
  redis.call('ZADD', KEYS[3], string.format('%.0f', now), ARGV[i])
  event[#event + 1] = ARGV[i]
  event[#event + 1] = stamp .. position
  onward[#onward + 1] = ARGV[i]
  onward[#onward + 1] = ARGV[1]
end
-- Of very many, the oldest go, with every entry that is as old: '~' is the stamp up to which.
-- Those of the last minutes stay: a replica may still lag behind their positions.
local many = redis.call('ZCARD', KEYS[3]) - 100000
if many > 0 then
  local till = string.format('%.0f', now - 600000000)
  local old = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', till, 'WITHSCORES', 'LIMIT', 0, math.min(many + 100, 1000))
  for i = 1, #old, 2 do
    redis.call('HDEL', KEYS[2], old[i])
    redis.call('ZREM', KEYS[3], old[i])
  end
  if #old > 0 then
    local horizon = hex(tonumber(old[#old]))
    redis.call('HSET', KEYS[2], '~', horizon)
    event[#event + 1] = '~'
    event[#event + 1] = horizon
  end
end
local id = string.format('%.0f', now)
redis.call('SET', KEYS[1], id)
redis.call('XADD', KEYS[4], 'MAXLEN', '~', 100000, id .. '-0', unpack(event))
if flags % 2 == 1 or flags >= 4 then
  if flags >= 4 then
    table.insert(onward, 1, flags >= 8 and 'regions' or 'edges')
    table.insert(onward, 1, '>')
  end
  local last = redis.call('HGET', KEYS[6], '<') or '0'
  redis.call('XADD', KEYS[5], 'MAXLEN', '~', 100000, id .. '-0', '<', last, unpack(onward))
  redis.call('HSET', KEYS[6], '<', id)
end
-- Fences are the whole namespace's: the longest counts that any worker of it has asked for, '%'.
local longest = tonumber(redis.call('HGET', KEYS[2], '%') or '0') or 0
if ARGV[2] * 1 > longest then
  longest = ARGV[2] * 1
  redis.call('HSET', KEYS[2], '%', ARGV[2])
end
local old = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now - longest), 'LIMIT', 0, 1000)
if #old > 0 then
  redis.call('HDEL', KEYS[2], unpack(old))
  redis.call('ZREM', KEYS[3], unpack(old))
end
return stamp
