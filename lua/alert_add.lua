-- Adds an alert that is of no limit.
--
-- KEYS[1] alerts    stream, see lib/alerts
-- KEYS[2] mark      that there was such an alert; only when there may be just one
-- ARGV[1] keep_until  until when there is no second, in epoch milliseconds; with KEYS[2]
-- ARGV[2...]        the entry: names and values
--
-- Replies the entry's id, or '' when there was such an alert: then what keeps a second away is only kept longer.

local alerts, mark = KEYS[1], KEYS[2]
local prefix = string.match(alerts, '^sg:{[^}]*}:')

-- @include lib/alerts

if mark then
  local was = redis.call('GET', mark)
  if not was or tonumber(was) < tonumber(ARGV[1]) then
    redis.call('SET', mark, ARGV[1], 'PXAT', ARGV[1])
  end
  if was then
    return ''
  end
end
return redis.call('XADD', alerts, 'MAXLEN', '~', ALERTS_MAX, '*', unpack(ARGV, 2))
