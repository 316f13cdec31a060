-- The message log: what happened, in order, and a row for each message with the indexes that find it.
--
-- Its keys are named after `prefix`, the workspace's "sg:{workspace}:", and so lie in one slot. Which ones a script
-- touches depends on what the rows hold, so their names are made here and not by the caller:
--   log             stream: what happened, an entry each
--   l:rows          stream: <number>-0 -> m: what the row is about, t: when it was written, in epoch milliseconds;
--                   d: when that was decided, if not then: '' for a send that its sender delays; of a send s: the status
--                   that it began with; UNMAPPED is no message, but an event that none was made of
--   l:marks         stream: <number>-0 -> what else happened that counts, or takes away what was counted: with the rows,
--                   by number, it is everything that happened, in order. t: when, in epoch milliseconds; k: what
--                     first, again   the send m was decided after its sender's delay; was decided anew by hand
--                     filtered       the same, or once more after it had waited for room: and was filtered; f: 1 after the
--                                    delay
--                     canceled       the send m, which had been decided
--                     failed         the send m could not be delivered; g: 1 when it gave back what it counted
--                     asked          the check of u, a, o (topic), c (channel), at the cost x, under the message id m which
--                                    was accepted before, as the log has it: it was answered by that, or a conflict
--                     released       the check with the message id m, which is in the log
--                     reset          the present counter of the values v, as JSON, over the period p
--   l:meta          hash: last, the number that was given out last, to a row or a mark; indexed and trimmed, the numbers
--                   up to which rows were put into the indexes, and trimmed; trimmed_ms, when the last of what is gone was
--                   written; unlogged_ms, when a check was last counted, or asked again, that is not in the log
--   l:s:<status>, l:u:<user>, l:a:<account>, l:t:<topic>, l:g:<tag>, l:r:<trace>, l:q:<request>
--                   sorted sets: what the row is about, scored by the row's number. The last only of messages whose
--                   request has another id than they
--   l:x:<hash>      string: what is kept of the limits that messages were held against
--   l:c:<id>        string: the newest row about a check with that message id
-- A row is about a check, by the id of the check's entry in the log, or about a send, by its message id.

-- A value between colons in a key's name: see escapeKeyPart in src/store/keys.ts.
local function escape_part(value)
  if not string.find(value, '[%%:{}]') then
    return value
  end
  return (string.gsub(value, '[%%:{}]', function(character)
    return string.format('%%%02X', string.byte(character))
  end))
end

local function index_key(prefix, kind, value)
  return prefix .. 'l:' .. kind .. ':' .. escape_part(value)
end

-- Every index that a row is in. `tags` is a list; absent values are ''.
local function row_indexes(prefix, status, user, account, topic, tags, trace, request)
  local keys = { index_key(prefix, 's', status), index_key(prefix, 'u', user) }
  if account ~= '' then
    keys[#keys + 1] = index_key(prefix, 'a', account)
  end
  if topic ~= '' then
    keys[#keys + 1] = index_key(prefix, 't', topic)
  end
  for _, tag in ipairs(tags) do
    keys[#keys + 1] = index_key(prefix, 'g', tag)
  end
  if trace ~= '' then
    keys[#keys + 1] = index_key(prefix, 'r', trace)
  end
  if request ~= '' then
    keys[#keys + 1] = index_key(prefix, 'q', request)
  end
  return keys
end

-- Adds a row that was written, and is about what was decided, at moments in epoch milliseconds. It is put into the
-- indexes later: see log_index.
local function add_row(prefix, ref, written, decided)
  local number = redis.call('HINCRBY', prefix .. 'l:meta', 'last', 1)
  if decided == written then
    redis.call('XADD', prefix .. 'l:rows', number .. '-0', 'm', ref, 't', string.format('%.0f', written))
  else
    redis.call('XADD', prefix .. 'l:rows', number .. '-0', 'm', ref, 't', string.format('%.0f', written),
      'd', string.format('%.0f', decided))
  end
end

-- Adds a mark: its kind, when, and the fields that go with its kind. `number` is nil, or one that was taken already.
local function add_mark(prefix, number, kind, now, ...)
  number = number or redis.call('HINCRBY', prefix .. 'l:meta', 'last', 1)
  redis.call('XADD', prefix .. 'l:marks', string.format('%.0f', number) .. '-0', 'k', kind,
    't', string.format('%.0f', now), ...)
end

-- Whether a row is about a check: entries of the log have ids of a form that no send's has.
local function is_check(ref)
  return string.match(ref, '^%d+%-%d+$') ~= nil
end

-- The fields of an entry of the log by name, or nil when it is not there.
local function read_entry(prefix, id)
  local entry = redis.call('XRANGE', prefix .. 'log', id, id)[1]
  if not entry then
    return nil
  end
  local fields = {}
  for i = 1, #entry[2], 2 do
    fields[entry[2][i]] = entry[2][i + 1]
  end
  return fields
end

-- Every index that the row about a check is in.
local function check_indexes(prefix, entry)
  return row_indexes(prefix, entry.status, entry.user, entry.account, entry.topic, {}, '', '')
end

-- Keeps what has to be kept of limits once for all the messages that were held against them. Returns what to find it by.
local function keep_limits(prefix, text, keep_ms)
  local hash = string.sub(redis.sha1hex(text), 1, 20)
  redis.call('SET', prefix .. 'l:x:' .. hash, text, 'PX', keep_ms)
  return hash
end
