-- Has those that wait for room in a counter looked at again at once. `prefix` as of lib/log.
local function wake_held(prefix, counter)
  redis.call('ZADD', prefix .. 'holds', 'XX', 0, string.sub(counter, #prefix + 3))
end

-- Gives a cost back to a counter, if a reset has not already taken it away: it would be other messages' use. No counter
-- goes below 0. `mark` is what remembers a reset; `decided` is when the cost was counted, in epoch milliseconds.
local function give_back(prefix, counter, mark, cost, decided)
  local used = redis.call('GET', counter)
  if not used then
    return
  end
  local reset_at = redis.call('GET', mark)
  if not reset_at or decided > tonumber(reset_at) then
    redis.call('DECRBY', counter, string.format('%.0f', math.min(cost, tonumber(used))))
    wake_held(prefix, counter)
  end
end
