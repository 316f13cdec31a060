-- Adds what a process has counted of the traffic of ten minutes to what is kept of it at each level: of those ten minutes,
-- of their hour, of their day. A part that was sent twice is added once.
--
-- KEYS[1] mark      string: the number of the part that the process has added last
-- KEYS[2...]        for each level: a hash of counts, then a sorted set for each kind of what is counted, scored by how
--                   often
-- ARGV[1] number    the part's: higher than those that the process has sent before
-- ARGV[2] mark_ms   how long the mark is kept
-- ARGV[3] most      how many members a sorted set keeps: those with the highest scores
-- ARGV[4] levels    JSON: [[start_ms, expire_ms, [name, count...]]...]: when the level's bucket begins, when its keys
--                   expire, both in epoch milliseconds, and what is added to its counts
-- ARGV[5] tops      JSON: [[member, count...]...], a list for each kind: what is added to its sorted set at every level
--
-- Replies 1 when it was added, 0 when it had been before. A bucket that nobody will look at is left out: it has expired,
-- or it begins later than now, by the clock of a process that had not heard from Redis yet.

-- @include lib/clock

local mark, number, mark_ms, most = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local levels, tops = cjson.decode(ARGV[4]), cjson.decode(ARGV[5])

if tonumber(redis.call('GET', mark) or '0') >= tonumber(number) then
  return 0
end
redis.call('SET', mark, number, 'PX', mark_ms)

local function add_to_top(key, members, expire_at)
  for i = 1, #members, 2 do
    redis.call('ZINCRBY', key, members[i + 1], members[i])
  end
  redis.call('ZREMRANGEBYRANK', key, 0, -most - 1)
  redis.call('PEXPIREAT', key, expire_at)
end

local now = now_ms()
for place, level in ipairs(levels) do
  local start, expire_at, counts = unpack(level)
  local counts_place = 2 + (place - 1) * (1 + #tops)
  if start <= now and now < expire_at then
    for i = 1, #counts, 2 do
      redis.call('HINCRBY', KEYS[counts_place], counts[i], counts[i + 1])
    end
    redis.call('PEXPIREAT', KEYS[counts_place], expire_at)
    for kind, members in ipairs(tops) do
      if #members > 0 then
        add_to_top(KEYS[counts_place + kind], members, expire_at)
      end
    end
  end
end
return 1
