-- Reads rows and marks of the message log, from the oldest on, each with what is known of what it is about: all that is
-- needed to decide again what has happened.
--
-- KEYS[1] log       stream; see lib/log and lib/send for what goes with it
-- ARGV[1] first     the number to begin with
-- ARGV[2] last      the number to end with
-- ARGV[3] look      how many rows and marks this call reads, at most
--
-- Replies {next, text...}: `next` is the number to go on with, or '' when there is nothing more. Each text has these parts,
-- a line each; absent ones are ''. The first three are what it is, its number, and when it was written.
--   check     when it was decided if not then, the row's subject, then the fields of its entry: status, id, user, account,
--             topic, channel, cost, limits, used
--   send, first, again
--             the row's subject or m, of a row the status that it began with, then its state: q, u, a, t, c, k, dm, x, us,
--             cd, st
--   filtered  m, f; of a row: the row's subject, 1
--   canceled, released
--             m
--   failed    m, g
--   asked     m, u, a, o, c, x
--   reset     v, p
--   lost      nothing else: what it was about is gone
-- A row about a send that its sender delays is none of these, nor is a check that was filtered, or an event that no message
-- was made of: they decide nothing.

-- @include lib/log
-- @include lib/send

local first, last, look = ARGV[1], ARGV[2], tonumber(ARGV[3])
local prefix = string.sub(KEYS[1], 1, -4)

local STATE_FIELDS = { 'q', 'u', 'a', 't', 'c', 'k', 'dm', 'x', 'us', 'cd', 'st' }
local ENTRY_FIELDS = { 'status', 'id', 'user', 'account', 'topic', 'channel', 'cost', 'limits', 'used' }
local MARK_FIELDS = {
  first = { 'm' }, again = { 'm' }, filtered = { 'm', 'f' }, canceled = { 'm' }, released = { 'm' }, failed = { 'm', 'g' },
  asked = { 'm', 'u', 'a', 'o', 'c', 'x' }, reset = { 'v', 'p' },
}

local function number_of_entry(entry)
  return string.match(entry[1], '^%d+')
end

local function fields_of(entry)
  local fields, flat = {}, entry[2]
  for i = 1, #flat, 2 do
    fields[flat[i]] = flat[i + 1]
  end
  return fields
end

local reply = { '' }
local function add(...)
  reply[#reply + 1] = table.concat({ ... }, '\n')
end

-- The state of a send in lines, or nil when it is gone.
local function state_lines(id)
  local values = redis.call('HMGET', send_key(prefix, id), unpack(STATE_FIELDS))
  if not values[#STATE_FIELDS] then
    return nil
  end
  for i = 1, #STATE_FIELDS do
    values[i] = values[i] or ''
  end
  return table.concat(values, '\n')
end

local function add_send(kind, number, t, id, began_as)
  local state = state_lines(id)
  if state then
    add(kind, number, t, id, began_as, state)
  else
    add('lost', number, t)
  end
end

local function add_row_of(number, row)
  if not is_check(row.m) then
    if row.s == 'FILTERED' then
      add('filtered', number, row.t, row.m, '1')
    elseif row.s ~= 'UNMAPPED' and row.d ~= '' then
      add_send('send', number, row.t, row.m, row.s or '')
    end
    return
  end
  local entry = read_entry(prefix, row.m)
  if not entry then
    add('lost', number, row.t)
    return
  end
  if entry.status == 'FILTERED' then
    return
  end
  local values = {}
  for i, name in ipairs(ENTRY_FIELDS) do
    values[i] = entry[name] or ''
  end
  add('check', number, row.t, row.d or '', row.m, table.concat(values, '\n'))
end

local function add_mark_of(number, mark)
  if mark.k == 'first' or mark.k == 'again' then
    add_send(mark.k, number, mark.t, mark.m, '')
    return
  end
  local values = {}
  for i, name in ipairs(MARK_FIELDS[mark.k]) do
    values[i] = mark[name] or ''
  end
  add(mark.k, number, mark.t, table.concat(values, '\n'))
end

local rows = redis.call('XRANGE', prefix .. 'l:rows', first, last, 'COUNT', look)
local marks = redis.call('XRANGE', prefix .. 'l:marks', first, last, 'COUNT', look)
local r, m, next_number = 1, 1, nil
for _ = 1, look do
  local row, mark = rows[r], marks[m]
  if not row and not mark then
    break
  end
  local row_number, mark_number = row and number_of_entry(row), mark and number_of_entry(mark)
  if row and (not mark or tonumber(row_number) < tonumber(mark_number)) then
    add_row_of(row_number, fields_of(row))
    next_number = row_number
    r = r + 1
  else
    add_mark_of(mark_number, fields_of(mark))
    next_number = mark_number
    m = m + 1
  end
end
if r + m - 2 == look then
  reply[1] = string.format('%.0f', tonumber(next_number) + 1)
end
return reply
