-- Does what events of a customer data platform ask for, each by itself, all or nothing and once: the note that an event was
-- done is written together with what it changes.
--
-- KEYS[1] log        stream; see lib/log and lib/send for what goes with it
-- KEYS[2] audit      stream
-- KEYS[3] accounts   sorted set, KEYS[4] children, KEYS[5] revision: see account_write
-- KEYS[6...]         for each event, the note that it was done if it has a message id, and then of
--                      identify   the user's profile; see lib/profile
--                      group      the user's accounts, the user's profiles in accounts, the account's users, the account
--                      unmapped   nothing more
-- ARGV[1] note_ms    how long a note is kept
-- ARGV[2] max_bytes  how large a profile may be, in bytes of JSON
-- ARGV[3] actor      JSON
-- ARGV[4] source     where it comes from, for the audit trail
-- ARGV[5] audit_max  the most events that the trail keeps, about
-- ARGV[6] events     JSON: [event...], all of it texts and lists of texts; an event is one of
--                      {"identify", note, user, [name, value...]}: fields as write_profile takes them
--                      {"group", note, user, account, before, settings, json, parent}: the account's settings as they must
--                        be for the change, '' for none, and as of account_write; '' for settings leaves them
--                      {"unmapped", note, id, user, account, name}: a message without a mapping; absent is ''
--                    where note is what is noted, '' for an event without a message id
--
-- Replies {reply for each event...}, each of them
--   1  done
--   2  it has been done before, or there is a message with its id: nothing was done
--   3  the profile would be too large: nothing was done
--   4  the account's settings are others: nothing was done, and it has to be worked out again

-- @include lib/clock
-- @include lib/audit
-- @include lib/log
-- @include lib/send
-- @include lib/account
-- @include lib/profile

local log, audit_key, accounts, children, revision = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local note_ms, max_bytes, actor, source, audit_max = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local events = cjson.decode(ARGV[6])
local prefix = string.sub(log, 1, -4)
local now = now_ms()
local DONE, KNOWN, TOO_LARGE, CHANGED = 1, 2, 3, 4

local next_key = 5
local function take_key()
  next_key = next_key + 1
  return KEYS[next_key]
end

local kinds = {}

function kinds.identify(event)
  local profile = take_key()
  return function()
    return write_profile(profile, event[4], false, max_bytes, now) == nil and TOO_LARGE or DONE
  end
end

function kinds.group(event)
  local user_accounts, user_profiles, account_users, account = take_key(), take_key(), take_key(), take_key()
  local user, id, before, settings = event[3], event[4], event[5], event[6]
  return function()
    if settings ~= '' then
      if (redis.call('HGET', account, 'settings') or '') ~= before then
        return CHANGED
      end
      write_account(account, accounts, children, revision, id, settings, event[7], event[8])
    end
    if redis.call('HSETNX', user_profiles, id, '') == 1 then
      redis.call('ZADD', user_accounts, 0, id)
      redis.call('ZADD', account_users, 0, user)
      audit(audit_key, audit_max, actor, source,
        { 'member.added', 'member:' .. user .. '/' .. id, '', '{"profile":null}' })
    end
    return DONE
  end
end

function kinds.unmapped(event)
  local id, user, account, name = event[3], event[4], event[5], event[6]
  return function()
    local key = send_key(prefix, id)
    if redis.call('EXISTS', key) == 1 then
      return KNOWN
    end
    local q = string.format('%.0f', redis.call('HINCRBY', prefix .. 'l:meta', 'last', 1))
    local now_text = string.format('%.0f', now)
    redis.call('XADD', prefix .. 'l:rows', q .. '-0', 'm', id, 't', now_text, 's', 'UNMAPPED')
    redis.call('HSET', key, 'st', 'UNMAPPED', 'fs', 'UNMAPPED', 'q', q, 'ms', now_text, 'u', user, 'en', name)
    if account ~= '' then
      redis.call('HSET', key, 'a', account)
    end
    return DONE
  end
end

local replies = {}
for i, event in ipairs(events) do
  local note = event[2]
  local note_key = note ~= '' and take_key()
  local apply = kinds[event[1]](event)
  if note_key and redis.call('EXISTS', note_key) == 1 then
    replies[i] = KNOWN
  else
    replies[i] = apply()
    if note_key and replies[i] == DONE then
      redis.call('SET', note_key, note, 'PX', note_ms)
    end
  end
end
return replies
