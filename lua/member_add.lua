-- Adds a user to accounts, or gives those memberships that are there already another profile: all or none.
--
-- KEYS[1] accounts  sorted set: the ids of the user's accounts
-- KEYS[2] profiles  hash: account id -> the user's profile there as JSON, '' for none
-- KEYS[3] audit     stream
-- KEYS[4...]        for each account: sorted set, the ids of its users
-- ARGV[1] user      id
-- ARGV[2] actor     JSON
-- ARGV[3] source    where the change came from
-- ARGV[4] audit_max the most events that the trail keeps, about
-- ARGV[5] each_max  up to so many changed memberships have an event each; more share one per kind, with their ids
-- ARGV[6...]        for each account: its id, then JSON of the profile, '' for none, or '-' to leave it as it is.
--                   An id stands there once.
--
-- Replies {added, updated}: how many memberships are new, and how many have another profile now.

-- @include lib/audit

local accounts, profiles, audit_key = KEYS[1], KEYS[2], KEYS[3]
local user, actor, source, audit_max, each_max = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local FIRST_KEY, FIRST_ARG = 4, 6

local ids = {}
for i = FIRST_ARG, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
end
local old = redis.call('HMGET', profiles, unpack(ids))

-- For each changed membership: what was there before, or false, and what is there now.
local changed, values, added, updated = {}, {}, {}, {}
for i, id in ipairs(ids) do
  local before, after = old[i], ARGV[FIRST_ARG + 2 * i - 1]
  if after == '-' then
    after = before or ''
  end
  if before ~= after then
    changed[#changed + 1] = { id, before, after }
    values[#values + 1] = id
    values[#values + 1] = after
    if before then
      updated[#updated + 1] = id
    else
      added[#added + 1] = id
      redis.call('ZADD', KEYS[FIRST_KEY + i - 1], 0, user)
    end
  end
end
if #changed == 0 then
  return { 0, 0 }
end

redis.call('HSET', profiles, unpack(values))
if #added > 0 then
  local scored = {}
  for i, id in ipairs(added) do
    scored[2 * i - 1], scored[2 * i] = 0, id
  end
  redis.call('ZADD', accounts, unpack(scored))
end

local function view(profile)
  return '{"profile":' .. (profile == '' and 'null' or profile) .. '}'
end
local function write_event(kind, account, before, after)
  audit(audit_key, audit_max, actor, source, { kind, 'member:' .. user .. '/' .. account, before, after })
end
if #changed <= each_max then
  for _, change in ipairs(changed) do
    local id, before, after = unpack(change)
    if before then
      write_event('member.updated', id, view(before), view(after))
    else
      write_event('member.added', id, '', view(after))
    end
  end
else
  if #added > 0 then
    write_event('member.added', '*', '', cjson.encode({ account_ids = added }))
  end
  if #updated > 0 then
    write_event('member.updated', '*', '', cjson.encode({ account_ids = updated }))
  end
end
return { #added, #updated }
