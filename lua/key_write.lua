-- Creates or revokes one API key, and writes that into the audit trail.
--
-- KEYS[1] keys      hash: the SHA-256 of a key, in hex -> its JSON
-- KEYS[2] revision  hash: `last`, raised with every change, so that processes know when to read the keys again
-- KEYS[3] audit     stream
-- ARGV[1] id        the key's
-- ARGV[2] hash      its SHA-256, to create it; '' to revoke it
-- ARGV[3] json      what is kept about it, to create it; '' to revoke it
-- ARGV[4] actor     JSON
-- ARGV[5] source    where the change came from
-- ARGV[6] audit_max the most events that the trail keeps, about
--
-- Replies 1 when done, 0 when the id is taken (to create) or unknown (to revoke): nothing was changed.

-- @include lib/clock
-- @include lib/audit

local keys, revision = KEYS[1], KEYS[2]
local id, hash, json = ARGV[1], ARGV[2], ARGV[3]

-- There are few keys, and changes to them are rare: a look at each is cheaper than an index to keep.
local found_hash, found_json
local all = redis.call('HGETALL', keys)
for i = 1, #all, 2 do
  if cjson.decode(all[i + 1]).id == id then
    found_hash, found_json = all[i], all[i + 1]
  end
end

local event
if hash ~= '' then
  if found_hash then
    return 0
  end
  redis.call('HSET', keys, hash, json)
  event = { 'key.created', 'key:' .. id, '', json }
else
  if not found_hash then
    return 0
  end
  redis.call('HDEL', keys, found_hash)
  event = { 'key.revoked', 'key:' .. id, found_json, '' }
end

-- Revisions start at the time, so that those of a database that was lost and begun again are never taken for its own.
redis.call('HSETNX', revision, 'last', now_ms())
redis.call('HINCRBY', revision, 'last', 1)
audit(KEYS[3], ARGV[6], ARGV[4], ARGV[5], event)
return 1
