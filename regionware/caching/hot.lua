-- Counts what the workers of a region are asked for most.
-- KEYS[1] a sorted set. ARGV: the most that it holds, its life in ms, mentions...
-- What was said before counts less each time.
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('ZUNIONSTORE', KEYS[1], 1, KEYS[1], 'WEIGHTS', '0.8')
end
for i = 3, #ARGV do redis.call('ZINCRBY', KEYS[1], 1, ARGV[i]) end
local over = redis.call('ZCARD', KEYS[1]) - ARGV[1]
if over > 0 then redis.call('ZREMRANGEBYRANK', KEYS[1], 0, over - 1) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
