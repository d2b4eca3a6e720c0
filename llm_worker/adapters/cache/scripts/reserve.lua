-- KEYS, all with one hash tag: epoch, reservations, when each expires, those that have ended, the
-- sums of the day, those of the month.
-- ARGV: reservation, amount, how long it lives in ms, ttl of sums in ms, '1' to hold it whatever the
-- limits; then for each limit which of KEYS its sums are in, their field, the limit, what is known
-- to be spent at least: kept beside what is counted here, since a worker that could not tell of its
-- calls, while others knew what all have spent, may tell of them yet.
-- Gives granted, busy (may fit when others have ended) or over; the limit, from 1, that it does not
-- fit into; the epoch; and what was spent and is held of each limit. Or unseeded, and holds nothing.
local epoch = redis.call('GET', KEYS[1])
if not epoch then return {'unseeded'} end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
-- Whoever made these is gone, and nobody knows whether they were paid.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now_ms, 'LIMIT', 0, 20)) do
  local packed = redis.call('HGET', KEYS[2], id)
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[3], id)
  redis.call('ZADD', KEYS[4], now_ms, id)
  local record = packed and cmsgpack.unpack(packed) or {}
  for i = 2, #record, 2 do
    redis.call('HINCRBY', record[i], 'held:' .. record[i + 1], -record[1])
    redis.call('HINCRBY', record[i], 'spent:' .. record[i + 1], record[1])
  end
end
local id, amount = ARGV[1], tonumber(ARGV[2])
local is_known = redis.call('HEXISTS', KEYS[2], id) == 1 or redis.call('ZSCORE', KEYS[4], id)
local word, at, sums, record = 'granted', 0, {}, {amount}
for i = 6, #ARGV, 4 do
  local key, field, limit = KEYS[tonumber(ARGV[i])], ARGV[i + 1], tonumber(ARGV[i + 2])
  local found = redis.call('HMGET', key, 'spent:' .. field, 'held:' .. field, 'floor:' .. field)
  local spent, held, floor = tonumber(found[1] or 0), tonumber(found[2] or 0), tonumber(found[3] or 0)
  if math.max(spent, floor) < tonumber(ARGV[i + 3]) then
    floor = tonumber(ARGV[i + 3])
    redis.call('HSET', key, 'floor:' .. field, ARGV[i + 3])
    redis.call('PEXPIRE', key, ARGV[4])
  end
  spent = math.max(spent, floor)
  sums[#sums + 1], sums[#sums + 2] = spent, held
  record[#record + 1], record[#record + 2] = key, field
  if word ~= 'over' and spent + amount > limit then
    word, at = 'over', (i - 2) / 4
  elseif word == 'granted' and spent + held + amount > limit then
    word, at = 'busy', (i - 2) / 4
  end
end
if is_known or ARGV[5] == '1' then word = 'granted' end
if word == 'granted' and not is_known then
  for i = 2, #record, 2 do
    sums[i] = redis.call('HINCRBY', record[i], 'held:' .. record[i + 1], ARGV[2])
    redis.call('PEXPIRE', record[i], ARGV[4])
  end
  redis.call('HSET', KEYS[2], id, cmsgpack.pack(record))
  redis.call('ZADD', KEYS[3], now_ms + ARGV[3], id)
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
  redis.call('PEXPIRE', KEYS[3], ARGV[4])
end
return {word, at, epoch, unpack(sums)}
