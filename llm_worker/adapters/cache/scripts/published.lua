-- KEYS: the request. ARGV: the record that the outcome was published for.
-- The outcome itself may come later, where Redis was away when it was stored.
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'published', ARGV[1])
end
return 1
