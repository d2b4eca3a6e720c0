-- KEYS: the request. ARGV: data hash, our token, ttl in ms, '1' if something was or may have been paid.
-- A note of ours that comes late finds that the claim is given back.
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'hash', ARGV[1], 'released', ARGV[2])
if ARGV[4] == '1' then redis.call('HSET', KEYS[1], 'paid', '1') end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
