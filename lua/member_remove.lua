-- Removes memberships, each in both directions. Those that are not there are passed over.
--
-- KEYS[1] audit     stream
-- KEYS[2...]        for each membership: the sorted set of the user's accounts, the hash of the user's profiles,
--                   the sorted set of the account's users
-- ARGV[1] actor     JSON
-- ARGV[2] source    where the change came from
-- ARGV[3] audit_max the most events that the trail keeps, about
-- ARGV[4] all_of    whose memberships are being removed, all of them: 'user', 'account', or '' for neither.
--                   With it one event names what was removed; without it each membership has its own.
-- ARGV[5...]        for each membership: the user's id, the account's id
--
-- Replies the number of memberships that were removed.

-- @include lib/audit

local audit_key = KEYS[1]
local actor, source, audit_max, all_of = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local FIRST_KEY, FIRST_ARG = 2, 5

local users, accounts = {}, {}
for i = 0, (#ARGV - FIRST_ARG + 1) / 2 - 1 do
  local user, account = ARGV[FIRST_ARG + 2 * i], ARGV[FIRST_ARG + 2 * i + 1]
  local profiles_key = KEYS[FIRST_KEY + 3 * i + 1]
  local profile = redis.call('HGET', profiles_key, account)
  if profile then
    redis.call('HDEL', profiles_key, account)
    redis.call('ZREM', KEYS[FIRST_KEY + 3 * i], account)
    redis.call('ZREM', KEYS[FIRST_KEY + 3 * i + 2], user)
    users[#users + 1] = user
    accounts[#accounts + 1] = account
    if all_of == '' then
      local before = '{"profile":' .. (profile == '' and 'null' or profile) .. '}'
      audit(audit_key, audit_max, actor, source, { 'member.removed', 'member:' .. user .. '/' .. account, before, '' })
    end
  end
end

if all_of ~= '' and #users > 0 then
  local target = all_of == 'user' and 'member:' .. users[1] .. '/*' or 'member:*/' .. accounts[1]
  local removed = all_of == 'user' and { account_ids = accounts } or { user_ids = users }
  audit(audit_key, audit_max, actor, source, { 'member.removed_all', target, cjson.encode(removed), '' })
end
return #users
