-- KEYS: as of reserve. ARGV: reservation, its cost, ttl of sums in ms, how long it is remembered that
-- it has ended in ms; then for each limit which of KEYS its sums are in, and their field.
-- A reservation that is not there was made while Redis was away or before it was flushed; one that has
-- ended already changes nothing. Gives 1, or 0 where nothing was changed.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local old = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now_ms - ARGV[4], 'LIMIT', 0, 20)
if #old > 0 then redis.call('ZREM', KEYS[4], unpack(old)) end
if redis.call('ZSCORE', KEYS[4], ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[4], now_ms, ARGV[1])
redis.call('PEXPIRE', KEYS[4], 2 * ARGV[4])
local packed = redis.call('HGET', KEYS[2], ARGV[1])
local record = packed and cmsgpack.unpack(packed)
if record then
  redis.call('HDEL', KEYS[2], ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
  for i = 2, #record, 2 do
    redis.call('HINCRBY', record[i], 'held:' .. record[i + 1], -record[1])
  end
end
if ARGV[2] == '0' then return 1 end
for i = 5, #ARGV, 2 do
  local key = KEYS[tonumber(ARGV[i])]
  redis.call('HINCRBY', key, 'spent:' .. ARGV[i + 1], ARGV[2])
  redis.call('PEXPIRE', key, ARGV[3])
end
return 1
