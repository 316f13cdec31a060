-- Writes the mappings of events anew.
--
-- KEYS[1] inbound   hash: mappings, their JSON
-- KEYS[2] audit     stream
-- ARGV[1] mappings  JSON
-- ARGV[2] actor     JSON
-- ARGV[3] source    where the change came from
-- ARGV[4] audit_max the most events that the trail keeps, about
--
-- Replies 1, or 0 when they were so already: nothing was changed.

-- @include lib/audit

local inbound, audit_key = KEYS[1], KEYS[2]
local mappings, actor, source, audit_max = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local before = redis.call('HGET', inbound, 'mappings') or ''
if before == mappings then
  return 0
end
redis.call('HSET', inbound, 'mappings', mappings)
audit(audit_key, audit_max, actor, source, { 'mappings.updated', 'mappings', before, mappings })
return 1
