-- KEYS: the request. ARGV: data hash, our token, ttl in ms, the outcome, how long we may take to
-- publish it in ms.
-- The first outcome wins; whoever stored it may correct it. Gives 1, or 0 where another was first.
local found = redis.call('HMGET', KEYS[1], 'token', 'outcome', 'published')
if found[2] and found[1] ~= ARGV[2] then return 0 end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'hash', ARGV[1], 'token', ARGV[2], 'outcome', ARGV[4], 'held_until_ms', now_ms + ARGV[5])
if found[3] then redis.call('HSET', KEYS[1], 'published', found[3]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
