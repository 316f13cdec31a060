-- The state of a handed-over send: one hash, `prefix`s:<message id>, that every script about it reads and writes. The
-- script that includes it has included lib/log. Short names, as there may be a million of them; absent is ''.
--   st status   q row number   ms when it was taken   u, a, t, c user, account, topic, channel   k cost, if not 1
--   r request, if not the id   pv provider   fs status that it began with, if not ENQUEUED
--   n attempt, raised by every decision and every try, if not 1   dm when it was decided, if not when it was taken
--   ph s while it is being sent   tries since it was decided last   rd deliveries begun a second time
--   x limits, as of keep_limits   us use of each counter   cd 0 once what it counted has been given back
--   hs since when it is held   hb by which counters, a line each   du when it is due
--   ev entries in the log, what happened after it began: the first, and how much later each next one
--   ol 1 when a trim has passed over it
--   tg tags, a line each   tc trace id   en event name   tp template
--   sn when sent   dl when delivered   rf the provider's reference   er error   rs reason
--   ec what the provider's code for the error says: the code, its meaning, and what to do, a line each
--   pt parts that receipts come for, see lib/receipt   sp how often its provider was stopped when it was to be sent
-- Its payload is in the hash `prefix`p:<request>: m, what all messages of the request share, and by message id what is
-- the recipient's own, for as long as it may have to be sent.

local function send_key(prefix, id)
  return prefix .. 's:' .. escape_part(id)
end

-- Fields of a hash as a table by name, '' for absent ones.
local function read_fields(key, names)
  local values = redis.call('HMGET', key, unpack(names))
  local fields = {}
  for i, name in ipairs(names) do
    fields[name] = values[i] or ''
  end
  return fields
end

-- A number in a field of a state, or what stands for an absent one.
local function number_of(text, absent)
  return text == '' and absent or tonumber(text)
end

local function attempt_of(state)
  return number_of(state.n, 1)
end

-- A text of lines as a list.
local function lines_of(text)
  local lines = {}
  for line in string.gmatch(text, '[^\n]+') do
    lines[#lines + 1] = line
  end
  return lines
end

-- Writes what happened to a message, and when, into the log. Returns its `ev` with the entry added. The entry's id may be
-- of a later millisecond: see lib/clock.
local function add_event(prefix, id, ev, status, detail, now)
  local entry = redis.call('XADD', prefix .. 'log', '*', 'status', status, 'send', id, 'detail', detail,
    't', string.format('%.0f', now))
  if ev == '' then
    return entry
  end
  local first = string.match(ev, '^%d+')
  local ms, part = string.match(entry, '^(%d+)-(%d+)$')
  return ev .. ' ' .. string.format('%.0f', tonumber(ms) - tonumber(first)) .. '-' .. part
end

-- The entries that an `ev` stands for.
local function event_entries(ev)
  local entries, first = {}, nil
  for ms, part in string.gmatch(ev, '(%d+)-(%d+)') do
    if first then
      ms = string.format('%.0f', tonumber(first) + tonumber(ms))
    else
      first = ms
    end
    entries[#entries + 1] = ms .. '-' .. part
  end
  return entries
end

-- What of a state its row is found by.
local INDEXED_FIELDS = { 'st', 'u', 'a', 't', 'tg', 'tc', 'r' }
local function send_indexes(prefix, state)
  return row_indexes(prefix, state.st, state.u, state.a, state.t, lines_of(state.tg), state.tc, state.r)
end

-- Moves a message to another status, writes that into the log, and sets more fields: a list of names and values.
-- `state` has st, q, ev and ol.
local function set_status(prefix, id, state, status, detail, now, more)
  -- A row that is not in the indexes yet will be put where it belongs then.
  if state.st ~= status and tonumber(redis.call('HGET', prefix .. 'l:meta', 'indexed') or '0') >= tonumber(state.q) then
    redis.call('ZREM', index_key(prefix, 's', state.st), id)
    redis.call('ZADD', index_key(prefix, 's', status), state.q, id)
  end
  local ev = add_event(prefix, id, state.ev, status, detail, now)
  redis.call('HSET', send_key(prefix, id), 'st', status, 'ev', ev, unpack(more))
  -- What a trim has passed over because it was still to be sent is trimmed when it has been over for as long as others.
  if state.ol == '1' then
    if status == 'ENQUEUED' or status == 'DELAYED' then
      redis.call('ZREM', prefix .. 'l:old', id)
    else
      redis.call('ZADD', prefix .. 'l:old', now, id)
    end
  end
end

-- Forgets what a message would have been sent with.
local function drop_payload(prefix, request, id)
  local key = prefix .. 'p:' .. escape_part(request)
  if redis.call('HDEL', key, id) == 1 and redis.call('HLEN', key) == 1 then
    redis.call('DEL', key)
  end
end

-- Takes a message out of the queues of those that wait for room or for their time.
local function leave_hold(prefix, id, q, hb, du)
  if du ~= '' then
    redis.call('ZREM', prefix .. 'due', id)
  end
  for _, counter in ipairs(lines_of(hb)) do
    redis.call('ZREM', prefix .. 'h:' .. counter, string.format('%016d', q) .. id)
  end
end

-- Hands attempts to the relay of their provider: a list of ids and attempts. `due` is when they are to be made, '' for at
-- once.
local function enqueue_attempts(prefix, provider, list, due)
  redis.call('XADD', prefix .. 'outbox:' .. provider, '*', 'd', due, unpack(list))
end
