-- Records what became of an attempt, once.
--
-- KEYS[1] log       stream; see lib/log and lib/send for what goes with it
-- KEYS[2...]        to give back what the message counted: each counter, then the mark that a reset of it leaves
-- ARGV[1] id        the message's
-- ARGV[2] attempt
-- ARGV[3] outcome   'sent', 'retry', 'failed', or 'stopped': the provider takes no messages now, so this was no try
-- ARGV[4] detail    JSON for the log
-- ARGV[5] error     what went wrong, in words; '' when sent
-- ARGV[6] due       for 'retry': when it is to be tried again, in epoch milliseconds
-- ARGV[7] reason    for 'failed': a word for it
-- ARGV[8] reference the provider's own id of the message, or '', when it, or a part of it, was sent
-- ARGV[9] keep      for 'sent': 1 to keep what it was sent with, because it may yet turn out to have failed
-- ARGV[10] refund   1 to give back what it counted, which may be nothing, when it failed or a receipt says so
-- ARGV[11] code     what the provider's code for the error says, as of `ec` in lib/send, or ''
-- ARGV[12] parts    JSON: the ids under which receipts of what was sent come; '' when none come
-- ARGV[13] parts_ms for how long
-- ARGV[14] pause_ms for 'stopped', and for a 'failed' that stops the provider too: how long it is left alone; else ''
-- ARGV[15] stop     why, in words
--
-- Replies {status, now_ms}: the status afterwards; '' when this outcome came too late to be recorded, since the attempt was
-- made again and has ended, or the message was canceled. With a pause three more: 1 for the first attempt that met it, else
-- 0; since when the provider is stopped, and until when, in epoch milliseconds.

-- @include lib/clock
-- @include lib/log
-- @include lib/send
-- @include lib/release
-- @include lib/receipt

local MOST_STOPS_LOGGED = 20

local prefix = string.sub(KEYS[1], 1, -4)
local id, attempt, outcome, detail = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local key = send_key(prefix, id)
local now = now_ms()
local state = read_fields(key, { 'st', 'q', 'ev', 'ol', 'n', 'ph', 'r', 'pv', 'tries', 'cd', 'k', 'dm', 'ms', 'sp' })

-- What has been sent has been sent, also when another try has been planned meanwhile.
local current = state.st == 'ENQUEUED'
  and ((state.ph == 's' and attempt_of(state) == attempt) or (outcome == 'sent' and attempt_of(state) >= attempt))
if not current then
  return { '', now }
end

local tries = number_of(state.tries, 0) + 1
local error, reason, reference, refund, code = ARGV[5], ARGV[7], ARGV[8], ARGV[10] == '1', ARGV[11]
local parts = ARGV[12] ~= '' and cjson.decode(ARGV[12]) or {}
local counters = {}
for i = 2, #KEYS do
  counters[i - 1] = KEYS[i]
end
remember_parts(prefix, state.pv, parts, id, ARGV[13])
-- Why a provider is stopped, since when and until when, as JSON. It outlives the pause, so that one stop after another
-- is known to be the same.
local stop_key = prefix .. 'stopped:' .. escape_part(state.pv)
local STOP_MEMORY_MS = 600000
local stop = redis.call('GET', stop_key)
stop = stop and cjson.decode(stop)

-- Stops the provider, unless it is stopped already. Returns 1 when it was not, else 0.
local function stop_provider()
  if stop and stop.until_ms > now then
    return 0
  end
  stop = { since_ms = stop and stop.since_ms or now, until_ms = now + tonumber(ARGV[14]), error = ARGV[15] }
  redis.call('SET', stop_key, cjson.encode(stop), 'PX', ARGV[14] + STOP_MEMORY_MS)
  return 1
end

if outcome == 'sent' then
  redis.call('HDEL', key, 'ph', 'er', 'ec')
  local more = { 'sn', string.format('%.0f', now), 'tries', tries }
  if reference ~= '' then
    more[#more + 1] = 'rf'
    more[#more + 1] = reference
  end
  if #parts > 0 then
    more[#more + 1] = 'pt'
    more[#more + 1] = waiting_parts(parts)
  end
  set_status(prefix, id, state, 'SENT', detail, now, more)
  if ARGV[9] ~= '1' then
    drop_payload(prefix, state.r == '' and id or state.r, id)
  end
  if stop and stop.until_ms <= now then
    redis.call('DEL', stop_key)
  end
  local status = 'SENT'
  for _, part in ipairs(parts) do
    local early = early_key(prefix, state.pv, part)
    local receipt = redis.call('GET', early)
    if receipt then
      redis.call('DEL', early)
      local came_to = apply_receipt(prefix, id, part, cjson.decode(receipt), now, refund, counters)
      if came_to == 'delivered' or came_to == 'undeliverable' then
        status = string.upper(came_to)
      end
    end
  end
  return { status, now }
end

if code == '' then
  redis.call('HDEL', key, 'ph', 'ec')
else
  redis.call('HDEL', key, 'ph')
  redis.call('HSET', key, 'ec', code)
end

if outcome == 'retry' then
  redis.call('HSET', key, 'n', attempt + 1, 'tries', tries, 'er', error,
    'ev', add_event(prefix, id, state.ev, 'RETRYING', detail, now))
  enqueue_attempts(prefix, state.pv, { id, attempt + 1 }, ARGV[6])
  return { 'ENQUEUED', now }
end

if outcome == 'stopped' then
  local is_first = stop_provider()
  local due = string.format('%.0f', stop.until_ms)
  local times = number_of(state.sp, 0) + 1
  redis.call('HSET', key, 'n', attempt + 1, 'er', error, 'sp', times)
  -- A provider that is stopped for days is not to fill the log.
  if times <= MOST_STOPS_LOGGED then
    redis.call('HSET', key, 'ev',
      add_event(prefix, id, state.ev, 'STOPPED', string.sub(detail, 1, -2) .. ',"next_try":' .. due .. '}', now))
  end
  enqueue_attempts(prefix, state.pv, { id, attempt + 1 }, due)
  return { 'ENQUEUED', now, is_first, stop.since_ms, stop.until_ms }
end

local more = { 'tries', tries, 'er', error, 'rs', reason }
if reference ~= '' then
  more[#more + 1] = 'rf'
  more[#more + 1] = reference
end
if state.cd ~= '0' and #counters > 0 then
  for i = 1, #counters, 2 do
    give_back(prefix, counters[i], counters[i + 1], number_of(state.k, 1),
      number_of(state.dm, tonumber(state.ms)))
  end
  more[#more + 1] = 'cd'
  more[#more + 1] = '0'
end
add_mark(prefix, nil, 'failed', now, 'm', id, 'g', ARGV[10])
set_status(prefix, id, state, 'UNDELIVERABLE', detail, now, more)
if ARGV[14] == '' then
  return { 'UNDELIVERABLE', now }
end
local is_first = stop_provider()
return { 'UNDELIVERABLE', now, is_first, stop.since_ms, stop.until_ms }
