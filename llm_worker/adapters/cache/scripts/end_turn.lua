-- KEYS: the verdict, its purchase under way; one hash tag. ARGV: our turn or '', ttl in ms, the verdict or ''.
if ARGV[3] ~= '' then redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2]) end
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 1
