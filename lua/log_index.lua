-- Puts rows of the message log that are not in the indexes yet into them. They are written without: that a message is
-- accepted does not wait for it, and by the time that its row is put into them it usually has got further. Who looks for
-- rows by an index has this done first, so nobody sees an index that lags behind.
--
-- KEYS[1] log       stream; see lib/log and lib/send for what goes with it
-- ARGV[1] look      how many rows this call takes, at most
--
-- Replies 1 when there may be more, else 0.

-- @include lib/log
-- @include lib/send

local prefix = string.sub(KEYS[1], 1, -4)
local look = tonumber(ARGV[1])
local meta = prefix .. 'l:meta'
local indexed = tonumber(redis.call('HGET', meta, 'indexed') or '0')
local rows = redis.call('XRANGE', prefix .. 'l:rows', string.format('%.0f', indexed + 1), '+', 'COUNT', look)
if #rows == 0 then
  return 0
end

-- Members of each index, written together.
local added = {}
for _, row in ipairs(rows) do
  local number, ref = string.match(row[1], '^%d+'), row[2][2]
  local indexes
  if is_check(ref) then
    local entry = read_entry(prefix, ref)
    indexes = entry and check_indexes(prefix, entry)
  else
    local state = read_fields(send_key(prefix, ref), INDEXED_FIELDS)
    indexes = state.st ~= '' and send_indexes(prefix, state)
  end
  for _, key in ipairs(indexes or {}) do
    local list = added[key]
    if not list then
      list = {}
      added[key] = list
    end
    local size = #list
    list[size + 1], list[size + 2] = number, ref
  end
  indexed = number
end
for key, list in pairs(added) do
  redis.call('ZADD', key, unpack(list))
end
redis.call('HSET', meta, 'indexed', indexed)
return #rows == look and 1 or 0
