-- Begins to deliver an attempt: moves it from queued to being sent, and hands out what is to be sent. Nothing is delivered
-- without that, so that however often the queue hands out the same attempt, it is made once. Only when a worker died, or
-- lost its place, between this and its record of the outcome is the attempt made again: nobody can know what became of it.
--
-- KEYS[1] log       stream; see lib/log and lib/send for what goes with it
-- ARGV[1] id        the message's
-- ARGV[2] attempt
--
-- Replies one of
--   {0, status}       it is not, or no longer, to be made
--   {1, shared, recipient, user, account, topic, channel, provider, tries, again, decided_ms, limits, cost, counted,
--        taken_ms}
--       `tries` is how many have been made since the decision; `again` 1 when this one was begun before; `limits` is the
--       text of keep_limits

-- @include lib/clock
-- @include lib/log
-- @include lib/send

local MOST_EVENTS = 100

local prefix = string.sub(KEYS[1], 1, -4)
local id, attempt = ARGV[1], tonumber(ARGV[2])
local key = send_key(prefix, id)
local state = read_fields(key,
  { 'st', 'n', 'ph', 'u', 'a', 't', 'c', 'r', 'pv', 'tries', 'dm', 'x', 'k', 'cd', 'ev', 'rd', 'ms' })
if state.st ~= 'ENQUEUED' or attempt_of(state) ~= attempt then
  return { 0, state.st }
end

local again = state.ph == 's'
if again then
  local times = number_of(state.rd, 0) + 1
  redis.call('HSET', key, 'rd', times)
  -- A message that ends its worker each time is not to fill the log.
  if times <= MOST_EVENTS then
    redis.call('HSET', key, 'ev', add_event(prefix, id, state.ev, 'REDELIVERED', '', now_ms()))
  end
else
  redis.call('HSET', key, 'ph', 's')
end
local payload = redis.call('HMGET', prefix .. 'p:' .. escape_part(state.r == '' and id or state.r), 'm', id)
local limits = state.x ~= '' and redis.call('GET', prefix .. 'l:x:' .. state.x) or ''
return { 1, payload[1] or '', payload[2] or '', state.u, state.a, state.t, state.c, state.pv,
  number_of(state.tries, 0), again and 1 or 0, state.dm == '' and state.ms or state.dm, limits or '',
  state.k == '' and '1' or state.k, state.cd == '0' and '' or '1', state.ms }
