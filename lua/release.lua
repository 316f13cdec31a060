-- Gives back what an accepted message counted, once, to the windows it was counted in, and forgets its verdict.
--
-- KEYS[1] record    the message's record, as take.lua wrote it
-- KEYS[2...]        for each counter that it raised: the counter, then the mark that a reset of it leaves
-- ARGV[1] expected  the record that the caller read, and named the counters from
-- ARGV[2] cost      what the message cost
-- ARGV[3] decided   when it was accepted, in epoch milliseconds
--
-- Replies 1 when released, 0 when the record is no longer what the caller read: nothing was changed.

local record = KEYS[1]
if redis.call('GET', record) ~= ARGV[1] then
  return 0
end
local cost, decided = tonumber(ARGV[2]), tonumber(ARGV[3])
for i = 2, #KEYS, 2 do
  local used = redis.call('GET', KEYS[i])
  if used then
    -- What a reset has already taken away is not given back again: it would be other messages' use.
    local reset_at = redis.call('GET', KEYS[i + 1])
    if not reset_at or decided > tonumber(reset_at) then
      redis.call('DECRBY', KEYS[i], string.format('%.0f', math.min(cost, tonumber(used))))
    end
  end
end
-- The mark "R" tells a second release from one of an id that never was.
redis.call('SET', record, 'R', 'KEEPTTL')
return 1
