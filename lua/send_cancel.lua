-- Stops a message that is still to be decided or sent, and gives back what it counted.
--
-- KEYS[1] log       stream; see lib/log and lib/send for what goes with it
-- KEYS[2] audit     stream
-- KEYS[3...]        to give back what the message counted: each counter, then the mark that a reset of it leaves
-- ARGV[1] id        the message's
-- ARGV[2] attempt   that the counters were worked out from
-- ARGV[3] actor     JSON
-- ARGV[4] source    where the change came from
-- ARGV[5] audit_max the most events that the trail keeps, about
--
-- Replies one of
--   'canceled'   it is now
--   'changed'    it is at another attempt: nothing was done
--   'sending'    it is being sent at this moment: nothing was done
--   'over'       there is nothing to stop any more: nothing was done

-- @include lib/clock
-- @include lib/audit
-- @include lib/log
-- @include lib/send
-- @include lib/release

local prefix = string.sub(KEYS[1], 1, -4)
local id = ARGV[1]
local key = send_key(prefix, id)
local now = now_ms()
local state = read_fields(key, { 'st', 'q', 'ev', 'ol', 'n', 'ph', 'r', 'hb', 'du', 'k', 'dm', 'ms' })
if state.st ~= 'ENQUEUED' and state.st ~= 'DELAYED' then
  return 'over'
end
if attempt_of(state) ~= tonumber(ARGV[2]) then
  return 'changed'
end
if state.ph == 's' then
  return 'sending'
end

leave_hold(prefix, id, state.q, state.hb, state.du)
if state.du == '' then
  add_mark(prefix, nil, 'canceled', now, 'm', id)
end
local more, detail = {}, ''
if state.st == 'ENQUEUED' then
  for i = 3, #KEYS, 2 do
    give_back(prefix, KEYS[i], KEYS[i + 1], number_of(state.k, 1),
      number_of(state.dm, tonumber(state.ms)))
  end
  more, detail = { 'cd', '0' }, '{"gave_back":true}'
end
redis.call('HDEL', key, 'ph', 'hb', 'hs', 'du')
set_status(prefix, id, state, 'CANCELED', detail, now, more)
drop_payload(prefix, state.r == '' and id or state.r, id)
audit(KEYS[2], ARGV[5], ARGV[3], ARGV[4],
  { 'message.canceled', 'message:' .. id, cjson.encode({ status = state.st }), '{"status":"CANCELED"}' })
return 'canceled'
