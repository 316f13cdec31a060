-- Removes the oldest rows of the message log that are older than they may be or more than there may be, and with each
-- everything that belongs to it: its place in the indexes, its entries, its state, and the marks behind it. A send that
-- has not been decided or sent yet stays, and goes once it has been over for that long.
--
-- KEYS[1] log       stream; see lib/log for what goes with it
-- ARGV[1] before_ms rows that were written before that moment are too old, in epoch milliseconds
-- ARGV[2] most      how many rows there may be
-- ARGV[3] look      how many rows this call looks at, at most
--
-- Replies {removed, more}: `more` is 1 when there may be others to remove.

-- @include lib/log
-- @include lib/send

local log, before, most, look = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local prefix = string.sub(log, 1, -4)
local rows, meta, old = prefix .. 'l:rows', prefix .. 'l:meta', prefix .. 'l:old'

local function drop_from(indexes, ref)
  for _, key in ipairs(indexes) do
    redis.call('ZREM', key, ref)
  end
end

local function drop_check(ref)
  local entry = read_entry(prefix, ref)
  if not entry then
    return
  end
  drop_from(check_indexes(prefix, entry), ref)
  if entry.id ~= '' then
    local newest = index_key(prefix, 'c', entry.id)
    if redis.call('GET', newest) == ref then
      redis.call('DEL', newest)
    end
  end
  redis.call('XDEL', log, ref)
end

local SEND_FIELDS = { 'st', 'q', 'u', 'a', 't', 'tg', 'tc', 'ev', 'r' }

-- Removes all that is known of a send, unless it is still to be sent. Returns whether it did.
local function drop_send(id)
  local key = send_key(prefix, id)
  local state = read_fields(key, SEND_FIELDS)
  if state.st == 'ENQUEUED' or state.st == 'DELAYED' then
    redis.call('HSET', key, 'ol', '1')
    return false
  end
  if state.st ~= '' then
    drop_from(send_indexes(prefix, state), id)
    if state.ev ~= '' then
      redis.call('XDEL', log, unpack(event_entries(state.ev)))
    end
    drop_payload(prefix, state.r == '' and id or state.r, id)
    redis.call('XDEL', rows, state.q .. '-0')
    redis.call('DEL', key)
  end
  return true
end

local removed = 0
local excess = redis.call('XLEN', rows) - most

-- Those that a trim had passed over come first: they are older.
local passed_over = redis.call('ZRANGEBYSCORE', old, '-inf', excess > 0 and '+inf' or '(' .. ARGV[1], 'LIMIT', 0, look)
for _, id in ipairs(passed_over) do
  redis.call('ZREM', old, id)
  if drop_send(id) then
    removed = removed + 1
    excess = excess - 1
  end
end

local trimmed = redis.call('HGET', meta, 'trimmed') or '0'
local trimmed_ms
local found = redis.call('XRANGE', rows, string.format('%.0f', tonumber(trimmed) + 1), '+', 'COUNT', look)
local reached = false
for _, row in ipairs(found) do
  local ref, written = row[2][2], tonumber(row[2][4])
  if written >= before and excess <= 0 then
    reached = true
    break
  end
  trimmed, trimmed_ms = string.match(row[1], '^%d+'), row[2][4]
  local about_check = is_check(ref)
  if about_check then
    drop_check(ref)
  end
  if about_check or drop_send(ref) then
    redis.call('XDEL', rows, row[1])
    removed = removed + 1
    excess = excess - 1
  end
end
if trimmed_ms then
  redis.call('HSET', meta, 'trimmed', trimmed, 'trimmed_ms', trimmed_ms)
end

-- Marks go with the rows before them, and by age where there is none.
local marks, last_gone, gone_ms = redis.call('XRANGE', prefix .. 'l:marks', '-', '+', 'COUNT', look), nil, nil
local marks_reached = false
for _, mark in ipairs(marks) do
  local number = tonumber(string.match(mark[1], '^%d+'))
  if number > tonumber(trimmed) and tonumber(mark[2][4]) >= before then
    marks_reached = true
    break
  end
  last_gone, gone_ms = number, tonumber(mark[2][4])
end
if last_gone then
  if gone_ms > tonumber(redis.call('HGET', meta, 'trimmed_ms') or '0') then
    redis.call('HSET', meta, 'trimmed_ms', string.format('%.0f', gone_ms))
  end
  redis.call('XTRIM', prefix .. 'l:marks', 'MINID', '=', string.format('%.0f', last_gone + 1))
end

local more = #passed_over == look or (#found == look and not reached) or (#marks == look and not marks_reached)
return { removed, more and 1 or 0 }
