-- Redis's own time, in epoch milliseconds. Before Redis 7.2 it goes on while a script runs, so a script reads it once, and
-- what it writes down with an id of '*' may be of a later millisecond.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
