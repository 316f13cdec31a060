-- What every script that decides shares. The script that includes it has included lib/clock, lib/config and lib/alerts, and
-- has named config, items, changes_key, version, shapes, and alerts_text(shape): what an alert tells of its limits.
--
-- A message is {shape, flags, deadline_ms, cost, user, account, topic, channel, id, account_revision, ...}: `shape`
-- counts from 1; `cost` is a text; an absent user, account, topic, channel or id is ''.
-- A shape is {from, to, {expire_at_ms...}, {most...}, {{use...}...}, ...}: [from, to) is when the plan holds; for each
-- counter, when it expires, the most that it may reach, -1 for any, and the uses that pass a threshold, rising, one at least.

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

-- What alerts tell of the limits of shapes, read when there is the first.
local alerted = {}
local function alerted_limits(shape)
  if not alerted[shape] then
    alerted[shape] = cjson.decode(string.match(alerts_text(shape), '\n(.*)'))
  end
  return alerted[shape]
end

-- The ids of the limits of shapes that may throttle, by counter, '-' where there is none.
local throttling = {}
local function throttling_limits(shape)
  local ids = throttling[shape]
  if not ids then
    ids = {}
    for id in string.gmatch(string.match(alerts_text(shape), '^[^\n]*'), '%S+') do
      ids[#ids + 1] = id
    end
    throttling[shape] = ids
  end
  return ids
end

-- Adds the alerts of a counter, the index-th of its message, whose use has risen. Seldom called: see `take_room`.
local function alert_of_use(message, index, counter, before, used)
  for _, limit in ipairs(alerted_limits(message[1])) do
    if limit[1] == index then
      for i, use in ipairs(limit[4]) do
        if before < use and used >= use then
          local percent = string.format('%.0f', limit[3][i])
          alert_of_limit('limit.threshold', limit, percent, counter, shapes[message[1]][3][index], used, message,
            'threshold', percent)
        end
      end
    end
  end
end

-- Adds the alerts of the limits that had no room for a message, whose counters are KEYS[first...]. `held` is whether it waits
-- for room. Nearly always there was one of each already, which has to cost little: a limit without room is met again and again.
local function alert_of_want(message, first, exceeded, used, held)
  local ids, marks = throttling_limits(message[1]), {}
  for i, index in ipairs(exceeded) do
    marks[i] = alert_mark(ids[index], 't', KEYS[first + index - 1])
  end
  if redis.call('EXISTS', unpack(marks)) == #marks then
    return
  end
  for _, limit in ipairs(alerted_limits(message[1])) do
    for _, index in ipairs(exceeded) do
      if limit[1] == index and limit[2] == ids[index] then
        alert_of_limit('limit.throttled', limit, 't', KEYS[first + index - 1], shapes[message[1]][3][index], used[index],
          message, 'held', held and '1' or '0')
      end
    end
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
  local _, _, expire_at, most, alert_uses = unpack(shapes[message[1]])
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
    local before = used[i]
    used[i] = before + cost
    -- Most uses are below every threshold, and cost no more than this.
    local uses = alert_uses[i]
    if used[i] >= uses[1] then
      for _, use in ipairs(uses) do
        if before < use and used[i] >= use then
          alert_of_use(message, i, key, before, used[i])
          break
        end
      end
    end
  end
  return used
end
