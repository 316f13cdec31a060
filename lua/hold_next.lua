-- Puts off the next look at those that wait for room in a counter, unless somebody has made room meanwhile.
--
-- KEYS[1] holds     sorted set: counters that messages wait for room in, by when to look again, in epoch milliseconds
-- KEYS[2] held      sorted set: those messages, by since when they wait
-- ARGV[1] counter   its name in `holds`
-- ARGV[2] looking   when the look that ends now would have been made up for: its mark in `holds`
-- ARGV[3] next      when to look again, in epoch milliseconds
--
-- Replies 1 when there is nobody left who waits for it, else 0.

if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
  return 1
end
if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or '0') == tonumber(ARGV[2]) then
  redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
end
return 0
