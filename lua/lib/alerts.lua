-- Alerts: what somebody is told of, decided where it happens.
--   alerts          stream: an entry each, the newest ALERTS_MAX or so: type, what; then of a limit
--                     limit       JSON: an element of what is kept of limits, see encodeLimits in src/store/shapes.ts
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
