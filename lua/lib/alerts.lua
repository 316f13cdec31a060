-- Alerts: what somebody is told of, decided where it happens. The script that includes it has named `prefix`, as of
-- lib/log.
--   alerts          stream: an entry each, the newest ALERTS_MAX or so: type, what; then of a limit
--                     limit       what is told of it, as its planner wrote it: JSON
--                     used        the use of its counter after the decision
--                     threshold   which one it has passed, in percent; of limit.threshold
--                     held        1 when the message waits for room; of limit.throttled
--                     user, account, topic, channel   of the message; '' for none
--                   of anything else
--                     data        what is told of it: JSON
--                     id, at      the alert's id, and when it was in epoch milliseconds, where they are not the entry's
--                     told        1 when it has been sent already
--   n:l:<limit>:<percent, or t>:<counter>   string: that there was an alert of that limit and counter, so of that window:
--                   that its use passed that threshold, or that it throttled. It goes when the counter goes, not before:
--                   after a reset, or with another max, there is no second in the same window.

local ALERTS_MAX = 10000

local ALERT_MARK = prefix .. 'n:l:'

-- What says that there was an alert of a limit: `mark` tells its alerts apart.
local function alert_mark(limit_id, mark, counter)
  return ALERT_MARK .. limit_id .. ':' .. mark .. ':' .. string.sub(counter, #prefix + 3)
end

-- Adds an alert of a limit, unless there was one. `limit` is an element of a shape's alerts, see encodeAlerts in
-- src/store/shapes.ts.
local function alert_of_limit(type, limit, mark, counter, expire_at, used, message, field, value)
  if redis.call('SET', alert_mark(limit[2], mark, counter), '1', 'NX', 'PXAT', expire_at) then
    redis.call('XADD', prefix .. 'alerts', 'MAXLEN', '~', ALERTS_MAX, '*', 'type', type, 'limit', limit[5],
      'used', string.format('%.0f', used), field, value,
      'user', message[5], 'account', message[6], 'topic', message[7], 'channel', message[8])
  end
end
