-- KEYS: the request. ARGV: data hash, our token, ttl in ms, the attempt that begins or '',
-- records that tell of the one that has ended or '', '1' if that one was or may have been paid,
-- how long we may hold it in ms, the attempt that has ended or '', 'late' if it is told again.
-- The nodes of a cluster may get the end of one after the beginning of the next.
-- Gives 1, or 0 where the claim is another's, is given back, or an outcome has appeared.
local found = redis.call('HMGET', KEYS[1], 'token', 'outcome', 'released')
if found[2] or found[3] == ARGV[2] or (found[1] and found[1] ~= ARGV[2]) then return 0 end
if not found[1] then
  if ARGV[9] then return 0 end  -- long after, perhaps, that the request has ended
  -- Redis has forgotten the claim since, or never had it.
  local time = redis.call('TIME')
  local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('HSET', KEYS[1], 'hash', ARGV[1], 'token', ARGV[2], 'held_until_ms', now_ms + ARGV[7])
end
if ARGV[4] ~= '' or redis.call('HGET', KEYS[1], 'attempt') == ARGV[8] then
  redis.call('HSET', KEYS[1], 'attempt', ARGV[4])
end
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[1], 'told:' .. redis.call('HLEN', KEYS[1]), ARGV[5])
end
if ARGV[6] == '1' then redis.call('HSET', KEYS[1], 'paid', '1') end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
