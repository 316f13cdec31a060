-- Sets one counter to zero, if its window is the present one.
--
-- KEYS[1] counter
-- KEYS[2] mark      remembers when, so that a later release of an earlier message gives nothing back here
-- KEYS[3] audit     stream
-- KEYS[4] config    hash: version, floor
-- KEYS[5] account   the account's settings that the window was worked out from; only with a sixth ARGV
-- ARGV[1] from      the window: [from, to) in epoch milliseconds
-- ARGV[2] to
-- ARGV[3] version   the version of the configuration that was planned with
-- ARGV[4] expire_at when the mark may be forgotten, in epoch milliseconds
-- ARGV[5] event     JSON: {target, actor, source, audit_max, after}; and of the counter, for the log, {values, period},
--                   values as JSON in a text
-- ARGV[6] revision  of the account's settings
--
-- Replies one of
--   {1, time_ms, used before}     done
--   {2, time_ms}                  stale: the configuration has changed
--   {3, time_ms, revision, json}  stale: the account's settings have another revision
--   {4, time_ms}                  the window is not the present one
-- Of 2 to 4 nothing was changed.

-- @include lib/clock
-- @include lib/audit
-- @include lib/log
-- @include lib/release

local now = now_ms()
if tonumber(redis.call('HGET', KEYS[4], 'version') or '0') ~= tonumber(ARGV[3]) then
  return { 2, now }
end
if ARGV[6] then
  local account = redis.call('HMGET', KEYS[5], 'revision', 'json')
  local revision = tonumber(account[1] or '0')
  if revision ~= tonumber(ARGV[6]) then
    return { 3, now, revision, account[2] or '' }
  end
end
if now < tonumber(ARGV[1]) or now >= tonumber(ARGV[2]) then
  return { 4, now }
end
local used = redis.call('GET', KEYS[1]) or '0'
local prefix = string.match(KEYS[1], '^sg:{[^}]*}:')
redis.call('DEL', KEYS[1])
wake_held(prefix, KEYS[1])
redis.call('SET', KEYS[2], string.format('%.0f', now), 'PXAT', ARGV[4])
local event = cjson.decode(ARGV[5])
add_mark(prefix, nil, 'reset', now, 'v', event.values, 'p', event.period)
audit(KEYS[3], event.audit_max, event.actor, event.source,
  { 'counter.reset', event.target, '{"used":' .. used .. '}', event.after })
return { 1, now, tonumber(used) }
