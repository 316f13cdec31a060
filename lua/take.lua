-- Decides messages, each by itself and all or nothing, and in the same call counts what it accepted, remembers the
-- verdict under the message's id, and logs what it did not accept. With a dry message it only looks.
--
-- KEYS[1] config    hash: version, floor
-- KEYS[2] items     hash: id -> JSON
-- KEYS[3] changes   sorted set: id, scored by the version of its last change
-- KEYS[4] log       stream; see lib/log for what goes with it
-- KEYS[5...]        for each message, as its flags say, in this order:
--                     its record (MESSAGE_ID), its account's settings (ACCOUNT), its user's memberships (MEMBER),
--                     then one counter for each counter of its shape
-- ARGV[1] version   the version of the configuration that was planned with
-- ARGV[2] record_ms how long a record is kept
-- ARGV[3] log_ms    how long what log entries refer to is kept: longer than they are
-- ARGV[4] shapes    JSON: [shape...], see lib/decision
-- ARGV[5] messages  JSON: [message...], see lib/decision
-- ARGV[6...]        for each shape, what records and the log keep of its limits, a text without a newline, and of their
--                   alerts, see lib/decision
--
-- Replies {time_ms, changes or {}, reply for each message...}; `changes` as of config_changes, when it was stale.
-- The reply for a message is one of
--   {1, used...}          accepted; the use of each counter after the decision
--   {2, used..., log id}  throttled; the use of each counter (no log id for a dry one)
--   {3, log id}           filtered: the user is not in the account (no log id for a dry one)
--   {4, record}           accepted before: what was remembered
--   {5}                   conflict: the id was accepted with other content
--   {6}, {7, ...}, {8}    it has to be planned again: see refuse_plan in lib/decision
--   {9}                   late: the deadline has passed
-- Alerts are added beside: see lib/alerts.
-- Of 5 to 9 nothing was counted; with LOG_ALL, 4 and 5 leave a mark in the log.

-- @include lib/clock
-- @include lib/config
-- @include lib/log

local DRY, LOG_ALL, MESSAGE_ID = 1, 4, 8

local config, items, changes_key, log = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local version, record_ms, log_ms = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local shapes, messages = cjson.decode(ARGV[4]), cjson.decode(ARGV[5])
local FIRST_TEXT = 6
local prefix = string.sub(log, 1, -4)

local function limits_text(shape)
  return ARGV[FIRST_TEXT + 2 * shape - 2]
end
local function alerts_text(shape)
  return ARGV[FIRST_TEXT + 2 * shape - 1]
end

-- @include lib/alerts
-- @include lib/decision

local kept = {}
local function write_log(status, message, used)
  local shape = message[1]
  if not kept[shape] then
    kept[shape] = keep_limits(prefix, limits_text(shape), log_ms)
  end
  local id = message[9]
  local ref = redis.call('XADD', log, '*', 'status', status, 'id', id, 'user', message[5], 'account', message[6],
    'topic', message[7], 'channel', message[8], 'cost', message[4], 'limits', kept[shape], 'used', table.concat(used, ','))
  if id ~= '' then
    redis.call('SET', index_key(prefix, 'c', id), ref, 'PX', log_ms)
  end
  -- An entry is written a moment after `now`.
  local written = tonumber(string.match(ref, '^%d+'))
  add_row(prefix, ref, written, now)
  return ref
end

-- Whether anything was counted, or might have been had it come otherwise before, that is not in the log.
local happened_unlogged = false

local next_key = 4
local function decide(message)
  local flags, cost_text = message[2], message[4]
  local dry = has(flags, DRY)

  local record_key, account_key, member_key
  if has(flags, MESSAGE_ID) then
    next_key = next_key + 1
    record_key = KEYS[next_key]
  end
  if has(flags, ACCOUNT) then
    next_key = next_key + 1
    account_key = KEYS[next_key]
  end
  if has(flags, MEMBER) then
    next_key = next_key + 1
    member_key = KEYS[next_key]
  end
  local first_counter = next_key + 1
  next_key = next_key + #shapes[message[1]][3]

  if now > message[3] then
    return { 9 }
  end

  local content
  if record_key then
    -- Ids hold no control characters, so a newline separates them without doubt.
    content = table.concat({ message[5], message[6], message[7], message[8], cost_text }, '\n')
    local record = redis.call('GET', record_key)
    if record and string.sub(record, 1, 1) == 'A' then
      if has(flags, LOG_ALL) then
        add_mark(prefix, nil, 'asked', now, 'm', message[9], 'u', message[5], 'a', message[6], 'o', message[7],
          'c', message[8], 'x', cost_text)
      else
        happened_unlogged = true
      end
      if string.sub(record, 3, 3 + #content) == content .. '\n' then
        return { 4, record }
      end
      return { 5 }
    end
  end

  local refused = refuse_plan(message, account_key)
  if refused then
    return refused
  end
  if member_key and redis.call('HEXISTS', member_key, message[6]) == 0 then
    if dry then
      return { 3 }
    end
    return { 3, write_log('FILTERED', message, {}) }
  end

  local used, exceeded = take_room(message, first_counter, next_key, dry)
  if exceeded then
    if dry then
      return { 2, unpack(used) }
    end
    alert_of_want(message, first_counter, exceeded, used, false)
    local reply = { 2, unpack(used) }
    reply[#reply + 1] = write_log('THROTTLED', message, used)
    return reply
  end
  if not dry then
    if record_key then
      local record = 'A\n' .. content .. '\n' .. string.format('%.0f', now) .. '\n'
        .. table.concat(used, ',') .. '\n' .. limits_text(message[1]) .. (has(flags, LOG_ALL) and '\nL' or '')
      redis.call('SET', record_key, record, 'PX', record_ms)
    end
    if has(flags, LOG_ALL) then
      write_log('ACCEPTED', message, used)
    else
      happened_unlogged = true
    end
  end
  return { 1, unpack(used) }
end

local replies = { now, changes }
for i, message in ipairs(messages) do
  local reply = decide(message)
  waits = waits or reply[1] >= 6
  replies[i + 2] = reply
end
if happened_unlogged then
  redis.call('HSET', prefix .. 'l:meta', 'unlogged_ms', string.format('%.0f', now))
end
replies[2] = changes
return replies
