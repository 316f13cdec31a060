-- What every script that decides shares. The script that includes it has included lib/clock and lib/config, and has named
-- config, items, changes_key and version.
--
-- A message is {shape, flags, deadline_ms, cost, user, account, topic, channel, id, account_revision, ...}: `shape`
-- counts from 1; `cost` is a text; an absent user, account, topic, channel or id is ''.
-- A shape is {from, to, {expire_at_ms...}, {most...}, ...}: [from, to) is when the plan holds; for each counter, when it
-- expires and the most that it may reach, -1 for any.

local EXEMPT, ACCOUNT, MEMBER, ANY_TIME = 2, 16, 32, 64
local MOST_CHANGES = 200

local now = now_ms()

-- Tests a bit of a small non-negative integer.
local function has(flags, bit_value)
  return flags % (2 * bit_value) >= bit_value
end

local stale, changes = nil, {}
local function is_stale()
  if stale == nil then
    stale = tonumber(redis.call('HGET', config, 'version') or '0') ~= version
    if stale then
      changes = config_changes(config, items, changes_key, version, MOST_CHANGES)
    end
  end
  return stale
end

-- Set once a message of this call has to be planned again: those after it are not decided before it.
local waits = false

-- Why a message cannot be decided by its plan, as a reply:
--   {6}                  stale: the configuration has changed; see `changes`
--   {7, revision, json}  stale: the account's settings have another revision
--   {8}                  the plan does not hold now, or a message before it has to be planned again
-- Nil when it can be.
local function refuse_plan(message, account_key)
  if is_stale() then
    return { 6 }
  end
  if account_key then
    local account = redis.call('HMGET', account_key, 'revision', 'json')
    local revision = tonumber(account[1] or '0')
    if revision ~= message[10] then
      return { 7, revision, account[2] or '' }
    end
  end
  local shape = shapes[message[1]]
  if waits or (not has(message[2], ANY_TIME) and (now < shape[1] or now >= shape[2])) then
    return { 8 }
  end
end

-- Looks for room in every counter of a message, KEYS[first] to KEYS[last], and counts it when all have room and it is not
-- dry. Returns the use of each counter afterwards, and the indexes of the counters that had none, or nil.
local function take_room(message, first, last, dry)
  local used = {}
  local counters = last - first + 1
  if counters == 0 then
    return used
  end
  local _, _, expire_at, most = unpack(shapes[message[1]])
  -- The cost goes on to Redis as the text that it came as: a number would be printed anew for each counter.
  local cost_text = message[4]
  local cost = tonumber(cost_text)
  local values = redis.call('MGET', unpack(KEYS, first, last))
  local exceeded
  local exempt = has(message[2], EXEMPT)
  for i = 1, counters do
    used[i] = tonumber(values[i] or '0')
    if not exempt and most[i] >= 0 and used[i] + cost > most[i] then
      exceeded = exceeded or {}
      exceeded[#exceeded + 1] = i
    end
  end
  if exceeded or dry then
    return used, exceeded
  end
  for i = 1, counters do
    local key = KEYS[first + i - 1]
    if values[i] then
      redis.call('INCRBY', key, cost_text)
    else
      redis.call('SET', key, cost_text, 'PXAT', expire_at[i])
    end
    used[i] = used[i] + cost
  end
  return used
end
