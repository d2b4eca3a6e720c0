-- KEYS: the request. ARGV: data hash, our token, ttl in ms, a token whose holder is gone or '',
-- how long we may hold it in ms, '1' if nobody can read the outcome that is there.
-- Gives what happened, then all fields as they were before.
local fields = redis.call('HGETALL', KEYS[1])
local found = {}
for i = 1, #fields, 2 do found[fields[i]] = fields[i + 1] end
local function answer(word)
  table.insert(fields, 1, word)
  return fields
end
if found.hash and found.hash ~= ARGV[1] then return {'conflict'} end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local is_overdue = now_ms >= tonumber(found.held_until_ms or 0)
if found.outcome and ARGV[6] ~= '1' then
  if found.published or is_overdue then return answer('known') end
  return answer('publishing')
end
local is_free = not found.token or found.token == ARGV[2] or found.token == ARGV[4]
if not is_free and not is_overdue then return {'held', 'token', found.token} end
redis.call('HDEL', KEYS[1], 'outcome', 'published')
redis.call('HSET', KEYS[1], 'hash', ARGV[1], 'token', ARGV[2], 'held_until_ms', now_ms + ARGV[5])
if found.attempt and found.attempt ~= '' then redis.call('HSET', KEYS[1], 'paid', '1') end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return answer('claimed')
