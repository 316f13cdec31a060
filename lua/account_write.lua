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
-- @include lib/account

local account, accounts, children, counter, audit_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, settings, json, parent = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local reply, before = write_account(account, accounts, children, counter, id, settings, json, parent)
if settings ~= before then
  local event = before == '' and 'account.created' or settings == '' and 'account.deleted' or 'account.updated'
  audit(audit_key, ARGV[7], ARGV[5], ARGV[6], { event, 'account:' .. id, before, settings })
end
return reply
