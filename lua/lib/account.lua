-- Writes the settings of one account anew, or removes them ('' for `settings`); see account_write for what the keys hold.
-- The script that includes it has included lib/clock. Returns {revision, created_ms, updated_ms}, all as they are now, and
-- the settings that were there before, '' for none.
local function write_account(account, accounts, children, counter, id, settings, json, parent)
  local old = redis.call('HMGET', account, 'settings', 'parent', 'revision', 'created_ms', 'updated_ms')
  local before, old_parent = old[1] or '', old[2] or ''
  if settings == before then
    return { tonumber(old[3] or '0'), tonumber(old[4] or '0'), tonumber(old[5] or '0') }, before
  end

  if old_parent ~= '' then
    redis.call('ZREM', children, old_parent .. '\n' .. id)
  end
  if settings == '' then
    redis.call('DEL', account)
    redis.call('ZREM', accounts, id)
    return { 0, 0, 0 }, before
  end
  local now = now_ms()
  -- Never behind the time, so that a database that was lost, or brought back from a backup, does not give out again
  -- what some process remembers from before.
  local revision = math.max(now, tonumber(redis.call('HGET', counter, 'last') or '0') + 1)
  redis.call('HSET', counter, 'last', string.format('%.0f', revision))
  local reply = { revision, tonumber(old[4] or now), now }
  redis.call('HSET', account, 'revision', reply[1], 'json', json, 'settings', settings, 'parent', parent,
    'created_ms', reply[2], 'updated_ms', now)
  redis.call('ZADD', accounts, 0, id)
  if parent ~= '' then
    redis.call('ZADD', children, 0, parent .. '\n' .. id)
  end
  return reply, before
end
