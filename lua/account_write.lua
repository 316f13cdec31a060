-- Writes the settings of one account anew, or removes them.
--
-- KEYS[1] account   hash: revision, json, settings, parent, created_ms, updated_ms
-- KEYS[2] accounts  sorted set: the ids of the accounts that have settings
-- KEYS[3] children  sorted set: parent's id, newline, child's id
-- KEYS[4] revision  hash: `last`, the last revision that was given out
-- KEYS[5] audit     stream
-- ARGV[1] id
-- ARGV[2] settings  JSON of all that the caller may set, or '' to remove
-- ARGV[3] json      JSON of that part by which decisions are made
-- ARGV[4] parent    the id of the parent account, or ''
-- ARGV[5] actor     JSON
-- ARGV[6] source    where the change came from
-- ARGV[7] audit_max the most events that the trail keeps, about
--
-- Replies {revision, created_ms, updated_ms}, all as they are now; {0, 0, 0} when the account has no settings now.

-- @include lib/clock
-- @include lib/audit

local account, accounts, children, counter, audit_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, settings, json, parent = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local old = redis.call('HMGET', account, 'settings', 'parent', 'revision', 'created_ms', 'updated_ms')
local before, old_parent = old[1] or '', old[2] or ''
if settings == before then
  return { tonumber(old[3] or '0'), tonumber(old[4] or '0'), tonumber(old[5] or '0') }
end

local reply = { 0, 0, 0 }
if old_parent ~= '' then
  redis.call('ZREM', children, old_parent .. '\n' .. id)
end
if settings == '' then
  redis.call('DEL', account)
  redis.call('ZREM', accounts, id)
else
  local now = now_ms()
  -- Never behind the time, so that a database that was lost, or brought back from a backup, does not give out again
  -- what some process remembers from before.
  local revision = math.max(now, tonumber(redis.call('HGET', counter, 'last') or '0') + 1)
  redis.call('HSET', counter, 'last', string.format('%.0f', revision))
  reply = { revision, tonumber(old[4] or now), now }
  redis.call('HSET', account, 'revision', reply[1], 'json', json, 'settings', settings, 'parent', parent,
    'created_ms', reply[2], 'updated_ms', now)
  redis.call('ZADD', accounts, 0, id)
  if parent ~= '' then
    redis.call('ZADD', children, 0, parent .. '\n' .. id)
  end
end
local event = before == '' and 'account.created' or settings == '' and 'account.deleted' or 'account.updated'
audit(audit_key, ARGV[7], ARGV[5], ARGV[6], { event, 'account:' .. id, before, settings })
return reply
