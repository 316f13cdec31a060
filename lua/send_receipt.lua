-- Records what a provider says later of a message that it took. However late, however often and in whatever order
-- receipts come, what is final stays.
--
-- KEYS[1] log       stream; see lib/log, lib/send and lib/receipt for what goes with it
-- KEYS[2...]        to give back what the message counted: each counter, then the mark that a reset of it leaves
-- ARGV[1] provider
-- ARGV[2] part      the provider's id
-- ARGV[3] stage     its letter, as of lib/receipt
-- ARGV[4] detail    JSON for the log
-- ARGV[5] error     what went wrong, in words, or ''
-- ARGV[6] code      what the provider's code for it says, as of `ec` in lib/send, or ''
-- ARGV[7] attempt   that the counters were worked out from, 0 when no message was found; '' when nothing is given back
-- ARGV[8] early_ms  how long a receipt is kept whose message is not known to have been sent
--
-- Replies {outcome, id}: of apply_receipt, or
--   'unknown'   no message is known by that id: kept, for the case that its message is just about to be recorded
--   'changed'   the message is at another attempt: nothing was done

-- @include lib/clock
-- @include lib/log
-- @include lib/send
-- @include lib/release
-- @include lib/receipt

local prefix = string.sub(KEYS[1], 1, -4)
local provider, part, stage, attempt = ARGV[1], ARGV[2], ARGV[3], ARGV[7]
local receipt = { stage, ARGV[4], ARGV[5], ARGV[6] }

local id = redis.call('GET', part_key(prefix, provider, part))
if not id then
  local early = early_key(prefix, provider, part)
  local kept = redis.call('GET', early)
  if not kept or STAGE_RANKS[cjson.decode(kept)[1]] < STAGE_RANKS[stage] then
    redis.call('SET', early, cjson.encode(receipt), 'PX', ARGV[8])
  end
  return { 'unknown', '' }
end
if attempt ~= '' then
  local state = read_fields(send_key(prefix, id), { 'st', 'n' })
  if state.st == 'SENT' and attempt_of(state) ~= tonumber(attempt) then
    return { 'changed', id }
  end
end
local counters = {}
for i = 2, #KEYS do
  counters[i - 1] = KEYS[i]
end
return { apply_receipt(prefix, id, part, receipt, now_ms(), attempt ~= '', counters), id }
