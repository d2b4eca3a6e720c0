-- KEYS: the verdict, its purchase under way; one hash tag. ARGV: our turn, ttl of a purchase in ms,
-- a turn whose buyer is gone or ''. Gives the verdict; or that we may buy; or whose turn it is now.
local verdict = redis.call('GET', KEYS[1])
if verdict then return {'found', verdict} end
local buyer = redis.call('GET', KEYS[2])
if buyer and buyer ~= ARGV[1] and buyer ~= ARGV[3] then return {'held', buyer} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {'buy'}
