-- Decides handed-over sends, each by itself and all or nothing, and in the same call writes down what became of it: its
-- state, its row in the log, and for an accepted one what it counted and its entry in the outbox.
--
-- KEYS[1] config    hash: version, floor
-- KEYS[2] items     hash: id -> JSON
-- KEYS[3] changes   sorted set: id, scored by the version of its last change
-- KEYS[4] log       stream; see lib/log and lib/send for what goes with it
-- KEYS[5...]        for each message, as its flags say, in this order:
--                     the record of its idempotency key (IDEMPOTENT), its account's settings (ACCOUNT), its user's
--                     memberships (MEMBER), its user's accounts (SOLE), then one counter for each of its shape
-- ARGV[1] version   the version of the configuration that was planned with
-- ARGV[2] record_ms how long the record of an idempotency key is kept
-- ARGV[3] log_ms    how long what log entries refer to is kept: longer than they are
-- ARGV[4] hold_ms   how long a message is held for want of room, at most
-- ARGV[5] grace_ms  how long after its window's end a counter expires
-- ARGV[6] shapes    JSON: [shape...], see lib/decision; with a seventh part {defers...}: 1 for a counter whose limit defers
-- ARGV[7] messages  JSON: [message...], see lib/decision, with more parts: 11 the attempt that it is at now (0 for a new
--                     one), 12 when it is due in epoch milliseconds (0 for now;
--                     below 0: so many from now), 13 its provider, 14 the place of its
--                     request among the texts of new messages, which its shared payload follows, 15 that of its
--                     recipient,
--                     16 {name, value...}: the fields of its state that do not depend on the decision,
--                     see lib/send, 17 for IDEMPOTENT what its key's
--                     record has behind its request: the content of the request, and a line more; for AGAIN who does
--                     it, as JSON
-- ARGV[8] only      a counter, without "c:": once a message is held by it, those behind it are not decided. Or ''
-- ARGV[9] audit_max the most events that the trail keeps, about
-- ARGV[10...]       for each shape, what is kept of its limits, a text without a newline, what it is kept under (the text is
--                   '' when it should be kept already), and of their alerts, see lib/decision; then the texts of new messages,
--                   by their places from 1
--
-- Replies {time_ms, changes or {}, reply for each message...}; `changes` as of config_changes, when it was stale.
-- The reply for a message is one of
--   {1, used...}          accepted: it is in the outbox
--   {2, used...}          throttled
--   {3}                   filtered: the user is not in the account
--   {4, request}          it has been taken before, by that request: nothing was done
--   {5}                   conflict: the idempotency key was used with other content
--   {6}, {7, ...}, {8}    it has to be planned again: see refuse_plan in lib/decision
--   {9}                   late: the deadline has passed
--   {10, account}         it has to be planned again for that account, the user's only one; '' for none
--   {11, used...}         held until there is room
--   {12}                  it is to be decided once it is due
--   {13, status}          it is not, or no longer, to be decided at this attempt
--   {14}                  not decided, behind one that is held by `only`
--   {15}                  what is kept of its limits is not kept any more: the text has to come along
-- Alerts are added beside: see lib/alerts.
-- Of 4 to 10 and 13 to 15 nothing was counted or written.

-- @include lib/clock
-- @include lib/config
-- @include lib/audit
-- @include lib/log
-- @include lib/send

-- IDEMPOTENT, SOLE and FRESH, whose id nobody can have used before, are a new message's; HELD is one that has waited, AGAIN
-- one that is sent again by hand.
local IDEMPOTENT, SOLE, HELD, AGAIN, FRESH = 8, 128, 256, 512, 1024

local config, items, changes_key, log = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local version, record_ms, log_ms, hold_ms, grace_ms =
  tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local shapes, messages = cjson.decode(ARGV[6]), cjson.decode(ARGV[7])
local only, audit_max = ARGV[8], ARGV[9]
local FIRST_TEXT = 10
local prefix = string.sub(log, 1, -4)

local TEXTS_OF_SHAPE = 3
local function alerts_text(shape)
  return ARGV[FIRST_TEXT + TEXTS_OF_SHAPE * shape - 1]
end
local function limits_text(shape)
  local first = FIRST_TEXT + TEXTS_OF_SHAPE * (shape - 1)
  -- Looked for before anything is counted: see limits_of.
  return ARGV[first] ~= '' and ARGV[first] or redis.call('GET', prefix .. 'l:x:' .. ARGV[first + 1])
end

-- @include lib/alerts
-- @include lib/decision

local now_text = string.format('%.0f', now)

local FIRST_NEW_TEXT = FIRST_TEXT + TEXTS_OF_SHAPE * #shapes
local function text_at(place)
  return ARGV[FIRST_NEW_TEXT - 1 + place]
end

-- Where what is kept of each shape's limits is found; false when the text has to come along.
local limits = {}
local function limits_of(shape)
  local hash = limits[shape]
  if hash == nil then
    local text
    local first = FIRST_TEXT + TEXTS_OF_SHAPE * (shape - 1)
    text, hash = ARGV[first], ARGV[first + 1]
    local key = prefix .. 'l:x:' .. hash
    if text ~= '' then
      redis.call('SET', key, text, 'PX', log_ms)
    elseif redis.call('EXISTS', key) == 0 then
      hash = false
    end
    limits[shape] = hash
  end
  return hash
end

-- What is put into each outbox, in one entry for the whole call.
local attempts = {}
local function enqueue(provider, id, attempt)
  local list = attempts[provider]
  if not list then
    list = {}
    attempts[provider] = list
  end
  local size = #list
  list[size + 1], list[size + 2] = id, attempt
end

-- Numbers of the log, as many as there are messages, are taken together by the first that needs one.
local next_number
local function number_in_log()
  next_number = (next_number or redis.call('HINCRBY', prefix .. 'l:meta', 'last', #messages) - #messages) + 1
  return next_number
end

local payloads = {}
-- Writes a new message down, which has been decided if it is due. `more` are further fields of its state: a list of names
-- and values. Returns its number.
local function create(message, status, is_due, more)
  local id, place, fields = message[9], message[14], message[16]
  local request = text_at(place)
  local q = string.format('%.0f', number_in_log())
  if is_due then
    redis.call('XADD', prefix .. 'l:rows', q .. '-0', 'm', id, 't', now_text, 's', status)
  else
    redis.call('XADD', prefix .. 'l:rows', q .. '-0', 'm', id, 't', now_text, 's', status, 'd', '')
  end

  local size = #fields
  fields[size + 1], fields[size + 2], fields[size + 3], fields[size + 4], fields[size + 5], fields[size + 6] =
    'st', status, 'q', q, 'ms', now_text
  size = size + 6
  if status ~= 'ENQUEUED' then
    fields[size + 1], fields[size + 2] = 'fs', status
    size = size + 2
  end
  for i = 1, #more do
    fields[size + i] = more[i]
  end
  redis.call('HSET', send_key(prefix, id), unpack(fields))

  local payload_key = prefix .. 'p:' .. escape_part(request)
  if payloads[place] then
    redis.call('HSET', payload_key, id, text_at(message[15]))
  else
    payloads[place] = true
    redis.call('HSET', payload_key, 'm', text_at(place + 1), id, text_at(message[15]))
  end
  return q
end

-- What a message that waits, or is sent again, had of its last decision.
local WAITING_FIELDS = { 'st', 'q', 'ev', 'ol', 'n', 'hb', 'hs', 'du', 'r' }
local LAST_FIELDS =
  { 'hb', 'hs', 'du', 'ph', 'cd', 'x', 'us', 'er', 'ec', 'rs', 'tries', 'sn', 'dl', 'rf', 'pt', 'sp' }

local blocked = false
local next_key = 4
local function next_if(condition)
  if condition then
    next_key = next_key + 1
    return KEYS[next_key]
  end
end

local function decide(message)
  local shape, flags, id, attempt, due = message[1], message[2], message[9], message[11], message[12]
  local record_key = next_if(has(flags, IDEMPOTENT))
  local account_key = next_if(has(flags, ACCOUNT))
  local member_key = next_if(has(flags, MEMBER))
  local sole_key = next_if(has(flags, SOLE))
  local first_counter = next_key + 1
  next_key = next_key + #shapes[shape][3]
  local last_counter = next_key

  if now > message[3] then
    return { 9 }
  end
  if blocked then
    return { 14 }
  end

  if record_key then
    local record = redis.call('GET', record_key)
    if record then
      local request, content = string.match(record, '^([^\n]*)\n([^\n]*\n)')
      if content ~= string.match(message[17], '^[^\n]*\n') then
        return { 5 }
      end
      return { 4, request }
    end
  end

  local again = has(flags, AGAIN)
  local is_new = not again and not has(flags, HELD)
  local state
  if not is_new then
    state = read_fields(send_key(prefix, id), WAITING_FIELDS)
    local right = not again and state.st == 'DELAYED'
      or again and (state.st == 'THROTTLED' or state.st == 'UNDELIVERABLE' or state.st == 'FILTERED')
    if not right or attempt_of(state) ~= attempt then
      return { 13, state.st }
    end
  elseif not has(flags, FRESH) and redis.call('EXISTS', send_key(prefix, id)) == 1 then
    return { 4, text_at(message[14]) }
  end

  if sole_key then
    local accounts = redis.call('ZRANGE', sole_key, 0, 1)
    local sole = #accounts == 1 and accounts[1] or ''
    if sole ~= message[6] then
      return { 10, sole }
    end
  end

  local status, code, more, used, holders, since
  if due < 0 then
    due = now - due
  end
  if due > now then
    status, code, used, more = 'DELAYED', 12, {}, { 'du', string.format('%.0f', due) }
    redis.call('ZADD', prefix .. 'due', due, id)
  else
    local refused = refuse_plan(message, account_key)
    if refused then
      return refused
    end
    attempt = attempt + 1
    if member_key and redis.call('HEXISTS', member_key, message[6]) == 0 then
      status, code, used, more = 'FILTERED', 3, {}, {}
    else
      local hash = limits_of(shape)
      if not hash then
        return { 15 }
      end
      local exceeded
      used, exceeded = take_room(message, first_counter, last_counter, false)
      more = { 'x', hash, 'us', table.concat(used, ',') }
      if not exceeded then
        status, code = 'ENQUEUED', 1
        enqueue(message[13], id, attempt)
      else
        local _, _, expire_at, most, _, _, defers = unpack(shapes[shape])
        since = state and state.hs ~= '' and tonumber(state.hs) or now
        status, code = 'DELAYED', 11
        for _, i in ipairs(exceeded) do
          if defers[i] ~= 1 or tonumber(message[4]) > most[i] or now >= since + hold_ms then
            status, code = 'THROTTLED', 2
          end
        end
        alert_of_want(message, first_counter, exceeded, used, code == 11)
        if code == 11 then
          holders = {}
          for _, i in ipairs(exceeded) do
            local counter = string.sub(KEYS[first_counter + i - 1], #prefix + 3)
            holders[#holders + 1] = counter
            redis.call('ZADD', prefix .. 'holds', 'LT', math.min(expire_at[i] - grace_ms, since + hold_ms), counter)
          end
          more = { 'x', hash, 'us', more[4], 'hs', string.format('%.0f', since), 'hb', table.concat(holders, '\n') }
        end
      end
    end
  end

  local q
  if is_new then
    q = create(message, status, code ~= 12, more)
  else
    q = state.q
    leave_hold(prefix, id, q, state.hb, state.du)
    redis.call('HDEL', send_key(prefix, id), unpack(LAST_FIELDS))
    local size = #more
    more[size + 1], more[size + 2], more[size + 3], more[size + 4] = 'n', attempt, 'dm', now_text
    if again then
      audit(prefix .. 'audit', audit_max, message[17], 'api',
        { 'message.retried', 'message:' .. id, cjson.encode({ status = state.st }), cjson.encode({ status = status }) })
    end
    local mark = code == 3 and 'filtered' or again and 'again' or state.du ~= '' and 'first'
    if mark then
      add_mark(prefix, number_in_log(), mark, now, 'm', id, 'f', state.du ~= '' and 1 or 0)
    end
    if state.st == status and code == 11 then
      -- That it waits on is nothing new.
      redis.call('HSET', send_key(prefix, id), unpack(more))
    else
      set_status(prefix, id, state, status, again and '{"again":true}' or '', now, more)
    end
  end
  if holders then
    for _, counter in ipairs(holders) do
      redis.call('ZADD', prefix .. 'h:' .. counter, since, string.format('%016d', q) .. id)
      blocked = blocked or counter == only
    end
  end
  if record_key then
    redis.call('SET', record_key, text_at(message[14]) .. '\n' .. message[17], 'PX', record_ms)
  end
  return { code, unpack(used) }
end

local replies = { now, changes }
for i, message in ipairs(messages) do
  local reply = decide(message)
  waits = waits or (reply[1] >= 6 and reply[1] <= 10) or reply[1] == 15
  replies[i + 2] = reply
end
for provider, list in pairs(attempts) do
  enqueue_attempts(prefix, provider, list, '')
end
replies[2] = changes
return replies
