-- Changes what is known of a user, or forgets it.
--
-- KEYS[1] profile   hash; see lib/profile
-- KEYS[2] audit     stream
-- ARGV[1] user      id
-- ARGV[2] how       merge: fields that are not named stay; replace: they go; remove: all goes, and the user has no profile
-- ARGV[3] max_bytes how large the profile may be, in bytes of JSON
-- ARGV[4] actor     JSON
-- ARGV[5] source    where the change came from
-- ARGV[6] audit_max the most events that the trail keeps, about
-- ARGV[7...]        the name of each field, as JSON, and its value, as JSON, '' for one that is to go
--
-- Replies {1, name, value...}: the profile as it is now, none after a removal; {0} when it would be too large: nothing was
-- changed.

-- @include lib/clock
-- @include lib/audit
-- @include lib/profile

local profile, audit_key = KEYS[1], KEYS[2]
local user, how, max_bytes, actor, source, audit_max =
  ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
local FIRST_FIELD = 7

local fields, exists = read_profile(profile)
local before, after = exists and profile_text(fields) or '', ''
local reply = { 1 }
local different
if how == 'remove' then
  different = exists
  redis.call('DEL', profile)
else
  local changes = {}
  for i = FIRST_FIELD, #ARGV do
    changes[#changes + 1] = ARGV[i]
  end
  different = write_profile(profile, changes, how == 'replace', max_bytes, now_ms())
  if different == nil then
    return { 0 }
  end
  local now = read_profile(profile)
  after = profile_text(now)
  for name, value in pairs(now) do
    reply[#reply + 1], reply[#reply + 2] = name, value
  end
end
if different then
  local event = before == '' and 'profile.created' or after == '' and 'profile.deleted' or 'profile.updated'
  audit(audit_key, audit_max, actor, source, { event, 'profile:' .. user, before, after })
end
return reply
