-- Records what became of an attempt, once.
--
-- KEYS[1] log       stream; see lib/log and lib/send for what goes with it
-- KEYS[2...]        to give back what the message counted: each counter, then the mark that a reset of it leaves
-- ARGV[1] id        the message's
-- ARGV[2] attempt
-- ARGV[3] outcome   'sent', 'retry' or 'failed'
-- ARGV[4] detail    JSON for the log
-- ARGV[5] error     what went wrong, in words; '' when sent
-- ARGV[6] due       for 'retry': when it is to be tried again, in epoch milliseconds
-- ARGV[7] reason    for 'failed': a word for it
-- ARGV[8] reference for 'sent': the provider's own id of the message, or ''
-- ARGV[9] keep      for 'sent': 1 to keep what it was sent with, because it may yet turn out to have failed
-- ARGV[10] refund   for 'failed': 1 to give back what it counted, which may be nothing
--
-- Replies {status, now_ms}: the status afterwards; '' when this outcome came too late to be recorded, since the attempt was
-- made again and has ended, or the message was canceled.

-- @include lib/clock
-- @include lib/log
-- @include lib/send
-- @include lib/release

local prefix = string.sub(KEYS[1], 1, -4)
local id, attempt, outcome, detail = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local key = send_key(prefix, id)
local now = now_ms()
local state = read_fields(key, { 'st', 'q', 'ev', 'ol', 'n', 'ph', 'r', 'pv', 'tries', 'cd', 'k', 'dm', 'ms' })

-- What has been sent has been sent, also when another try has been planned meanwhile.
local current = state.st == 'ENQUEUED'
  and ((state.ph == 's' and attempt_of(state) == attempt) or (outcome == 'sent' and attempt_of(state) >= attempt))
if not current then
  return { '', now }
end

local tries = number_of(state.tries, 0) + 1
if outcome == 'sent' then
  redis.call('HDEL', key, 'ph', 'er')
  local more = { 'sn', string.format('%.0f', now), 'tries', tries }
  if ARGV[8] ~= '' then
    more[#more + 1] = 'rf'
    more[#more + 1] = ARGV[8]
  end
  set_status(prefix, id, state, 'SENT', detail, now, more)
  if ARGV[9] ~= '1' then
    drop_payload(prefix, state.r == '' and id or state.r, id)
  end
  return { 'SENT', now }
end

if outcome == 'retry' then
  redis.call('HDEL', key, 'ph')
  redis.call('HSET', key, 'n', attempt + 1, 'tries', tries, 'er', ARGV[5],
    'ev', add_event(prefix, id, state.ev, 'RETRYING', detail))
  enqueue_attempts(prefix, state.pv, { id, attempt + 1 }, ARGV[6])
  return { 'ENQUEUED', now }
end

redis.call('HDEL', key, 'ph')
local more = { 'tries', tries, 'er', ARGV[5], 'rs', ARGV[7] }
if state.cd ~= '0' and #KEYS > 1 then
  for i = 2, #KEYS, 2 do
    give_back(prefix, KEYS[i], KEYS[i + 1], number_of(state.k, 1),
      number_of(state.dm, tonumber(state.ms)))
  end
  more[#more + 1] = 'cd'
  more[#more + 1] = '0'
end
add_mark(prefix, nil, 'failed', now, 'm', id, 'g', ARGV[10])
set_status(prefix, id, state, 'UNDELIVERABLE', detail, now, more)
return { 'UNDELIVERABLE', now }
