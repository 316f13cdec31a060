-- Decides messages, each by itself and all or nothing, and in the same call counts what it accepted, remembers the
-- verdict under the message's id, and logs what it did not accept. With a dry message it only looks.
--
-- KEYS[1] config    hash: version, floor
-- KEYS[2] items     hash: id -> JSON
-- KEYS[3] changes   sorted set: id, scored by the version of its last change
-- KEYS[4] log       stream
-- KEYS[5...]        for each message, as its flags say, in this order:
--                     its record (MESSAGE_ID), its account's settings (ACCOUNT), its user's memberships (MEMBER),
--                     then one counter for each counter of its shape
-- ARGV[1] version   the version of the configuration that was planned with
-- ARGV[2] record_ms how long a record is kept
-- ARGV[3] log_most  the most entries that the log keeps, about
-- ARGV[4] shapes    JSON: [[from, to, [expire_at_ms...], [most...]]...]
--                     [from, to) is when the plan holds; for each counter, when it expires and the most that it may
--                     reach, -1 for any
-- ARGV[5] messages  JSON: [[shape, flags, deadline_ms, cost, user, account, topic, channel, id, account_revision]...]
--                     `shape` counts from 1; `cost` is a text; an absent user, account, topic, channel or id is ''
-- ARGV[6...]        for each shape, what records and the log keep of its limits: a text without a newline
--
-- Replies {time_ms, changes or {}, reply for each message...}; `changes` as of config_changes, when it was stale.
-- The reply for a message is one of
--   {1, used...}          accepted; the use of each counter after the decision
--   {2, used..., log id}  throttled; the use of each counter (no log id for a dry one)
--   {3, log id}           filtered: the user is not in the account (no log id for a dry one)
--   {4, record}           accepted before: what was remembered
--   {5}                   conflict: the id was accepted with other content
--   {6}                   stale: the configuration has changed; see `changes`
--   {7, revision, json}   stale: the account's settings have another revision
--   {8}                   the plan does not hold at time_ms, or a message before it got one of 6 to 9
--   {9}                   late: the deadline has passed
-- Of 5 to 9 nothing was counted or written.

-- @include lib/clock
-- @include lib/config

local DRY, EXEMPT, LOG_ALL, MESSAGE_ID, ACCOUNT, MEMBER, ANY_TIME = 1, 2, 4, 8, 16, 32, 64
local MOST_CHANGES = 200

local config, items, changes_key, log = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local version, record_ms, log_most = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local shapes, messages = cjson.decode(ARGV[4]), cjson.decode(ARGV[5])
local FIRST_TEXT = 6
local now = now_ms()

local stale, changes = nil, {}
local function is_stale()
  if stale == nil then
    stale = tonumber(redis.call('HGET', config, 'version') or '0') ~= version
    if stale then
      changes = config_changes(config, items, changes_key, version, MOST_CHANGES)
    end
  end
  return stale
end

-- What records and the log keep of the limits that a message was held against.
local function limits_text(message)
  return ARGV[FIRST_TEXT - 1 + message[1]]
end

local function write_log(status, message, used)
  return redis.call('XADD', log, 'MAXLEN', '~', log_most, '*',
    'status', status, 'id', message[9], 'user', message[5], 'account', message[6], 'topic', message[7],
    'channel', message[8], 'cost', message[4], 'limits', limits_text(message), 'used', table.concat(used, ','))
end

-- Tests a bit of a small non-negative integer.
local function has(flags, bit_value)
  return flags % (2 * bit_value) >= bit_value
end

local next_key = 4
-- Set once a message of this call has to be planned again: those after it are not decided before it.
local waits = false
local function decide(message)
  local from, to, expire_at, most = unpack(shapes[message[1]])
  -- The cost goes on to Redis as the text that it came as: a number would be printed anew for each counter.
  local flags, cost_text = message[2], message[4]
  local cost = tonumber(cost_text)
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
  local counters = #expire_at
  local first_counter = next_key + 1
  next_key = next_key + counters

  if now > message[3] then
    return { 9 }
  end

  local content
  if record_key then
    -- Ids hold no control characters, so a newline separates them without doubt.
    content = table.concat({ message[5], message[6], message[7], message[8], cost_text }, '\n')
    local record = redis.call('GET', record_key)
    if record and string.sub(record, 1, 1) == 'A' then
      if string.sub(record, 3, 3 + #content) == content .. '\n' then
        return { 4, record }
      end
      return { 5 }
    end
  end

  if is_stale() then
    return { 6 }
  end
  if account_key then
    local account = redis.call('HMGET', account_key, 'revision', 'json')
    local revision = tonumber(account[1] or '0')
    if revision ~= message[10] then
      return { 7, revision, account[2] or '' }
    end
  end
  if waits or (not has(flags, ANY_TIME) and (now < from or now >= to)) then
    return { 8 }
  end
  if member_key and redis.call('HEXISTS', member_key, message[6]) == 0 then
    if dry then
      return { 3 }
    end
    return { 3, write_log('FILTERED', message, {}) }
  end

  local reply = { 1 }
  if counters > 0 then
    local used = redis.call('MGET', unpack(KEYS, first_counter, next_key))
    for i = 1, counters do
      reply[i + 1] = tonumber(used[i] or '0')
    end
    if not has(flags, EXEMPT) then
      for i = 1, counters do
        if most[i] >= 0 and reply[i + 1] + cost > most[i] then
          reply[1] = 2
          break
        end
      end
    end
    if reply[1] == 2 then
      if not dry then
        reply[#reply + 1] = write_log('THROTTLED', message, { unpack(reply, 2) })
      end
      return reply
    end
    if not dry then
      for i = 1, counters do
        local key = KEYS[first_counter + i - 1]
        if used[i] then
          redis.call('INCRBY', key, cost_text)
        else
          redis.call('SET', key, cost_text, 'PXAT', expire_at[i])
        end
        reply[i + 1] = reply[i + 1] + cost
      end
    end
  end

  if not dry then
    if record_key then
      local record = 'A\n' .. content .. '\n' .. string.format('%.0f', now) .. '\n'
        .. table.concat(reply, ',', 2) .. '\n' .. limits_text(message)
      redis.call('SET', record_key, record, 'PX', record_ms)
    end
    if has(flags, LOG_ALL) then
      write_log('ACCEPTED', message, { unpack(reply, 2) })
    end
  end
  return reply
end

local replies = { now, changes }
for i, message in ipairs(messages) do
  local reply = decide(message)
  waits = waits or reply[1] >= 6
  replies[i + 2] = reply
end
replies[2] = changes
return replies
