-- Finds rows of the message log, from the newest to the oldest, by the indexes: it walks along the shortest and looks up
-- what it finds there in the others.
--
-- KEYS[1] rows      stream: see lib/log
-- KEYS[2...]        the indexes
-- ARGV[1] groups    JSON: how many indexes each group has; a row must be in one of each group. Empty: every row
-- ARGV[2] before    rows with a smaller number, or '' for all
-- ARGV[3] after_ms  rows that were written at that moment or later, in epoch milliseconds, or ''
-- ARGV[4] until_ms  rows that were written before that moment, or ''
-- ARGV[5] want      how many rows are wanted, at most
-- ARGV[6] look      how many this call looks at, at most
--
-- Replies {next, number, ref, number, ref...}: `next` is the number to go on before, or '' when there is nothing more.

local rows = KEYS[1]
local groups = cjson.decode(ARGV[1])
local want, look = tonumber(ARGV[5]), tonumber(ARGV[6])

local function number_of(row)
  return tonumber(string.match(row[1], '^%d+'))
end

-- The number of the first row that was written at a moment or later, by halving; one more than the last when none was.
local function first_since(ms)
  local last = redis.call('XREVRANGE', rows, '+', '-', 'COUNT', 1)[1]
  local low, high = 1, last and number_of(last) + 1 or 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local row = redis.call('XRANGE', rows, string.format('%.0f', middle), '+', 'COUNT', 1)[1]
    if not row or tonumber(row[2][4]) >= ms then
      high = middle
    else
      low = number_of(row) + 1
    end
  end
  return low
end

local least = ARGV[3] == '' and 1 or first_since(tonumber(ARGV[3]))
local before = ARGV[2] == '' and math.huge or tonumber(ARGV[2])
if ARGV[4] ~= '' then
  before = math.min(before, first_since(tonumber(ARGV[4])))
end
if before <= least then
  return { '' }
end

local reply = { '' }
local function add(number, ref)
  reply[#reply + 1] = string.format('%.0f', number)
  reply[#reply + 1] = ref
end

if #groups == 0 then
  local from = before == math.huge and '+' or string.format('(%.0f-0', before)
  local found = redis.call('XREVRANGE', rows, from, string.format('%.0f', least), 'COUNT', want)
  for _, row in ipairs(found) do
    add(number_of(row), row[2][2])
  end
  if #found == want then
    reply[1] = reply[#reply - 1]
  end
  return reply
end

-- The group with the fewest rows leads.
local first_key, leading, fewest = 2, nil, nil
local spans = {}
for i, count in ipairs(groups) do
  local size = 0
  for k = first_key, first_key + count - 1 do
    size = size + redis.call('ZCARD', KEYS[k])
  end
  spans[i] = { first_key, first_key + count - 1 }
  if not fewest or size < fewest then
    leading, fewest = i, size
  end
  first_key = first_key + count
end

-- What each of its indexes holds next, together in order. Of an index that holds more than was read, what lies behind the
-- last that was read is not known: so far, and no further, the rows of all are complete.
local found, seen, complete = {}, {}, least
local from = before == math.huge and '+inf' or string.format('(%.0f', before)
for k = spans[leading][1], spans[leading][2] do
  local some = redis.call('ZREVRANGEBYSCORE', KEYS[k], from, string.format('%.0f', least), 'WITHSCORES', 'LIMIT', 0, look)
  for i = 1, #some, 2 do
    local ref, number = some[i], tonumber(some[i + 1])
    if not seen[ref] then
      seen[ref] = true
      found[#found + 1] = { number, ref }
    end
  end
  if #some == 2 * look then
    complete = math.max(complete, tonumber(some[#some]))
  end
end
table.sort(found, function(a, b)
  return a[1] > b[1]
end)
while #found > 0 and (#found > look or found[#found][1] < complete) do
  found[#found] = nil
end

local matches = {}
for i = 1, #found do
  matches[i] = true
end
for i, span in ipairs(spans) do
  if i ~= leading and #found > 0 then
    local refs = {}
    for j, row in ipairs(found) do
      refs[j] = row[2]
    end
    local inside = {}
    for k = span[1], span[2] do
      for j, score in ipairs(redis.call('ZMSCORE', KEYS[k], unpack(refs))) do
        inside[j] = inside[j] or score
      end
    end
    for j = 1, #found do
      matches[j] = matches[j] and inside[j]
    end
  end
end

for j, row in ipairs(found) do
  if matches[j] then
    add(row[1], row[2])
    if #reply == 2 * want + 1 then
      reply[1] = reply[#reply - 1]
      return reply
    end
  end
end
-- All that was read is used up: there may be more when an index was not read to its end.
if #found > 0 and (complete > least or #found == look) then
  reply[1] = string.format('%.0f', found[#found][1])
end
return reply
