-- KEYS: as of reserve. ARGV: a new epoch, ttl of it and of sums in ms; then which of KEYS a sum is in,
-- its field, and what was spent.
-- The first epoch stays; sums are only ever lifted. Gives the epoch.
for i = 3, #ARGV, 3 do
  local key, field = KEYS[tonumber(ARGV[i])], 'spent:' .. ARGV[i + 1]
  if tonumber(redis.call('HGET', key, field) or 0) < tonumber(ARGV[i + 2]) then
    redis.call('HSET', key, field, ARGV[i + 2])
    redis.call('PEXPIRE', key, ARGV[2])
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
return redis.call('GET', KEYS[1])
