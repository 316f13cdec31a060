-- Gives back what an accepted message counted, once, to the windows it was counted in, and forgets its verdict.
--
-- KEYS[1] record    the message's record, as take.lua wrote it
-- KEYS[2...]        for each counter that it raised: the counter, then the mark that a reset of it leaves
-- ARGV[1] expected  the record that the caller read, and named the counters from
-- ARGV[2] cost      what the message cost
-- ARGV[3] decided   when it was accepted, in epoch milliseconds
-- ARGV[4] id        the message's if it is in the log, else ''
--
-- Replies 1 when released, 0 when the record is no longer what the caller read: nothing was changed.

-- @include lib/clock
-- @include lib/log
-- @include lib/release

local record = KEYS[1]
if redis.call('GET', record) ~= ARGV[1] then
  return 0
end
local prefix = string.match(record, '^sg:{[^}]*}:')
local cost, decided = tonumber(ARGV[2]), tonumber(ARGV[3])
for i = 2, #KEYS, 2 do
  give_back(prefix, KEYS[i], KEYS[i + 1], cost, decided)
end
-- The mark "R" tells a second release from one of an id that never was.
redis.call('SET', record, 'R', 'KEEPTTL')
if ARGV[4] ~= '' then
  add_mark(prefix, nil, 'released', now_ms(), 'm', ARGV[4])
end
return 1
