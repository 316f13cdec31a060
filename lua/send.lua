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
-- ARGV[6] shapes    JSON: [shape...], see lib/decision; with a fifth part {defers...}: 1 for a counter whose limit defers
-- ARGV[7] messages  JSON: [message...], see lib/decision, with more parts: 11 the attempt that it is at now (0 for a new
--                     one), 12 when it is due in epoch milliseconds (0 for now), 13 its provider, 14 the number of its
--                     request among those below (0: none), 15 its recipient, 16 {name, value...}: more fields of its
--                     state, see lib/send, 17 for IDEMPOTENT what its key's record has behind its request: the content
--                     of the request, and a line more; for AGAIN who does it, as JSON
-- ARGV[8] requests  JSON: [[id, shared payload]...] of the new messages
-- ARGV[9] only      a counter, without "c:": once a message is held by it, those behind it are not decided. Or ''
-- ARGV[10] audit_max the most events that the trail keeps, about
-- ARGV[11...]       for each shape, what is kept of its limits: a text without a newline
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
-- Of 4 to 10, 13 and 14 nothing was counted or written.

-- @include lib/clock
-- @include lib/config
-- @include lib/audit
-- @include lib/log
-- @include lib/send

-- IDEMPOTENT and SOLE are a new message's; HELD is one that has waited, AGAIN one that is sent again by hand.
local IDEMPOTENT, SOLE, HELD, AGAIN = 8, 128, 256, 512

local config, items, changes_key, log = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local version, record_ms, log_ms, hold_ms, grace_ms =
  tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local shapes, messages, requests = cjson.decode(ARGV[6]), cjson.decode(ARGV[7]), cjson.decode(ARGV[8])
local only = ARGV[9]
local FIRST_TEXT = 11
local prefix = string.sub(log, 1, -4)

-- @include lib/decision

local kept = {}
local function limits_of(message)
  local shape = message[1]
  if not kept[shape] then
    kept[shape] = keep_limits(prefix, ARGV[FIRST_TEXT - 1 + shape], log_ms)
  end
  return kept[shape]
end

local function text_of(ms)
  return string.format('%.0f', ms)
end

local payloads = {}
-- Writes a new message down. `fields` are those of its status: a list of names and values.
local function create(message, status, fields)
  local id, user, account, topic = message[9], message[5], message[6], message[7]
  local number, extra = message[14], message[16]
  local request, payload = unpack(requests[number])
  local tags, trace = {}, ''
  for i = 1, #extra, 2 do
    if extra[i] == 'tg' then
      tags = lines_of(extra[i + 1])
    elseif extra[i] == 'tc' then
      trace = extra[i + 1]
    end
    fields[#fields + 1] = extra[i]
    fields[#fields + 1] = extra[i + 1]
  end
  local ev = add_event(prefix, id, '', status, '')
  local q = add_row(prefix, id, now, row_indexes(prefix, status, user, account, topic, tags, trace))
  for i, name in ipairs({ 'a', 't', 'c' }) do
    if message[5 + i] ~= '' then
      fields[#fields + 1] = name
      fields[#fields + 1] = message[5 + i]
    end
  end
  if message[4] ~= '1' then
    fields[#fields + 1] = 'k'
    fields[#fields + 1] = message[4]
  end
  if request ~= id then
    fields[#fields + 1] = 'r'
    fields[#fields + 1] = request
  end
  redis.call('HSET', send_key(prefix, id), 'st', status, 'q', q, 'ms', text_of(now), 'u', user, 'pv', message[13],
    'ev', ev, unpack(fields))
  local payload_key = prefix .. 'p:' .. escape_part(request)
  if payloads[number] then
    redis.call('HSET', payload_key, id, message[15])
  else
    payloads[number] = true
    redis.call('HSET', payload_key, 'm', payload, id, message[15])
  end
  return q
end

local WAITING_FIELDS = { 'st', 'q', 'ev', 'ol', 'n', 'hb', 'hs', 'du', 'r' }
local blocked = false
local next_key = 4
local function next_if(condition)
  if condition then
    next_key = next_key + 1
    return KEYS[next_key]
  end
end

local function decide(message)
  local flags, id, attempt, due = message[2], message[9], message[11], message[12]
  local record_key = next_if(has(flags, IDEMPOTENT))
  local account_key = next_if(has(flags, ACCOUNT))
  local member_key = next_if(has(flags, MEMBER))
  local sole_key = next_if(has(flags, SOLE))
  local first_counter = next_key + 1
  next_key = next_key + #shapes[message[1]][3]
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

  local is_new = not has(flags, HELD) and not has(flags, AGAIN)
  local state
  if is_new then
    if redis.call('EXISTS', send_key(prefix, id)) == 1 then
      return { 4, requests[message[14]][1] }
    end
  else
    state = read_fields(send_key(prefix, id), WAITING_FIELDS)
    local right = has(flags, HELD) and state.st == 'DELAYED'
      or has(flags, AGAIN) and (state.st == 'THROTTLED' or state.st == 'UNDELIVERABLE' or state.st == 'FILTERED')
    if not right or tonumber(state.n) ~= attempt then
      return { 13, state.st }
    end
  end

  if sole_key then
    local accounts = redis.call('ZRANGE', sole_key, 0, 1)
    local sole = #accounts == 1 and accounts[1] or ''
    if sole ~= message[6] then
      return { 10, sole }
    end
  end

  local status, code, fields, used, holders, since
  if due > now then
    status, code, used = 'DELAYED', 12, {}
    fields = { 'n', '1', 'du', text_of(due) }
    redis.call('ZADD', prefix .. 'due', due, id)
  else
    local refused = refuse_plan(message, account_key)
    if refused then
      return refused
    end
    attempt = attempt + 1
    fields = { 'n', attempt, 'dm', text_of(now) }
    if member_key and redis.call('HEXISTS', member_key, message[6]) == 0 then
      status, code, used = 'FILTERED', 3, {}
    else
      local exceeded
      used, exceeded = take_room(message, first_counter, last_counter, false)
      fields[#fields + 1] = 'x'
      fields[#fields + 1] = limits_of(message)
      fields[#fields + 1] = 'us'
      fields[#fields + 1] = table.concat(used, ',')
      if not exceeded then
        status, code = 'ENQUEUED', 1
        fields[#fields + 1] = 'ph'
        fields[#fields + 1] = 'q'
        fields[#fields + 1] = 'cd'
        fields[#fields + 1] = '1'
      else
        local _, _, expire_at, most, defers = unpack(shapes[message[1]])
        since = state and state.hs ~= '' and tonumber(state.hs) or now
        status, code = 'DELAYED', 11
        for _, i in ipairs(exceeded) do
          if defers[i] ~= 1 or tonumber(message[4]) > most[i] or now >= since + hold_ms then
            status, code = 'THROTTLED', 2
          end
        end
        if code == 11 then
          holders = {}
          for _, i in ipairs(exceeded) do
            local counter = string.sub(KEYS[first_counter + i - 1], #prefix + 3)
            holders[#holders + 1] = counter
            redis.call('ZADD', prefix .. 'holds', 'LT', math.min(expire_at[i] - grace_ms, since + hold_ms), counter)
          end
          fields[#fields + 1] = 'hs'
          fields[#fields + 1] = text_of(since)
          fields[#fields + 1] = 'hb'
          fields[#fields + 1] = table.concat(holders, '\n')
        end
      end
    end
  end

  local q
  if is_new then
    q = create(message, status, fields)
  else
    q = state.q
    leave_hold(prefix, id, q, state.hb, state.du)
    redis.call('HDEL', send_key(prefix, id), 'hb', 'hs', 'du', 'ph', 'cd', 'x', 'us', 'er', 'rs', 'tries',
      'sn', 'rf')
    if has(flags, AGAIN) then
      audit(prefix .. 'audit', ARGV[10], message[17], 'api',
        { 'message.retried', 'message:' .. id, cjson.encode({ status = state.st }), cjson.encode({ status = status }) })
    end
    if state.st == status and code == 11 then
      -- That it waits on is nothing new.
      redis.call('HSET', send_key(prefix, id), unpack(fields))
    else
      set_status(prefix, id, state, status, '', now, fields)
    end
  end
  if code == 1 then
    enqueue_attempt(prefix, message[13], id, attempt, '')
  elseif holders then
    for _, counter in ipairs(holders) do
      redis.call('ZADD', prefix .. 'h:' .. counter, since, string.format('%016d', q) .. id)
      blocked = blocked or counter == only
    end
  end
  if record_key then
    redis.call('SET', record_key, requests[message[14]][1] .. '\n' .. message[17], 'PX', record_ms)
  end
  if code == 12 or code == 3 then
    return { code }
  end
  return { code, unpack(used) }
end

local replies = { now, changes }
for i, message in ipairs(messages) do
  local reply = decide(message)
  waits = waits or (reply[1] >= 6 and reply[1] <= 10)
  replies[i + 2] = reply
end
replies[2] = changes
return replies
