-- What changed in the workspace's configuration (its limits, and its settings under the id "@settings") since a
-- version. Every changed item carries the version of its last change, so reading on from the last version seen
-- never misses one, whatever changes in between: a changed item moves to the end.
--
-- Returns {version, reload, more, item...}
--   version  the version that the caller is at once it has applied the items
--   reload   1 when removals that old have been forgotten: the caller starts again from nothing at version 0
--   more     1 when the caller must ask again from `version`
--   item     id, then its JSON, or '' when it was removed
local function config_changes(config_key, items_key, changes_key, since, most)
  local head = redis.call('HMGET', config_key, 'version', 'floor')
  local version, floor = tonumber(head[1] or '0'), tonumber(head[2] or '0')
  -- A version from the future was another database's: after a restore from a backup, say.
  if (since > 0 and since < floor) or since > version then
    return { 0, 1, 1 }
  end
  local changed = redis.call('ZRANGEBYSCORE', changes_key, '(' .. since, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
  local reply = { version, 0, 0 }
  if #changed == 0 then
    return reply
  end
  if #changed == 2 * most and tonumber(changed[#changed]) < version then
    reply[1], reply[3] = tonumber(changed[#changed]), 1
  end
  local ids = {}
  for i = 1, #changed, 2 do
    ids[#ids + 1] = changed[i]
  end
  local items = redis.call('HMGET', items_key, unpack(ids))
  for i, id in ipairs(ids) do
    reply[#reply + 1] = id
    reply[#reply + 1] = items[i] or ''
  end
  return reply
end
