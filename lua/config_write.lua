-- Changes limits or settings, all or none, if nobody changed them meanwhile.
--
-- KEYS[1] config    hash: version, floor
-- KEYS[2] items     hash: id -> JSON
-- KEYS[3] changes   sorted set: id, scored by the version of its last change
-- KEYS[4] removed   sorted set: removed id, scored by the version of its removal
-- KEYS[5] audit     stream
-- ARGV[1] expected  the version that the change was worked out from
-- ARGV[2] writes    JSON: [[id, json or ""], ...]; "" removes
-- ARGV[3] events    JSON: [[type, target, before, after], ...]
-- ARGV[4] actor     JSON
-- ARGV[5] source    where the change came from
-- ARGV[6] audit_max the most events that the trail keeps, about
-- ARGV[7] removed_most  the most removals that are remembered
--
-- Replies {1, version} when done, {0, version} when the configuration is at another version: nothing was changed.

-- @include lib/clock
-- @include lib/audit

local config, items, changes, removed, audit_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local version = tonumber(redis.call('HGET', config, 'version') or '0')
if version ~= tonumber(ARGV[1]) then
  return { 0, version }
end

local began = version == 0
-- Versions go with the time, so that those of a database that was lost and begun again, or brought back from a backup,
-- are never given out a second time with other content.
version = math.max(version, now_ms())
if began then
  redis.call('HSET', config, 'floor', version)
end

for _, write in ipairs(cjson.decode(ARGV[2])) do
  local id, json = write[1], write[2]
  -- One version for each item, so that a reader may stop between any two.
  version = version + 1
  redis.call('ZADD', changes, version, id)
  if json == '' then
    redis.call('HDEL', items, id)
    redis.call('ZADD', removed, version, id)
  else
    redis.call('HSET', items, id, json)
    redis.call('ZREM', removed, id)
  end
end

-- Removals are remembered for those who read on from an older version, but not without bound.
local excess = redis.call('ZCARD', removed) - tonumber(ARGV[7])
if excess > 0 then
  local forgotten = redis.call('ZPOPMIN', removed, excess)
  for i = 1, #forgotten, 2 do
    redis.call('ZREM', changes, forgotten[i])
  end
  redis.call('HSET', config, 'floor', forgotten[#forgotten])
end

redis.call('HSET', config, 'version', version)
for _, event in ipairs(cjson.decode(ARGV[3])) do
  audit(audit_key, ARGV[6], ARGV[4], ARGV[5], event)
end
return { 1, version }
