-- What every script that decides shares. The script that includes it has included lib/clock, lib/config and lib/alerts, and
-- has named config, items, changes_key, version, shapes and prefix, as of lib/log; limits_text(shape), what is kept of its
-- limits; and alerts_text(shape): in its first line, by counter, the ids of the limits that may throttle, '-' where there is
-- none; in the second, by limit, its thresholds in percent, '80,100', or '-'.
--
-- A message is {shape, flags, deadline_ms, cost, user, account, topic, channel, id, account_revision, ...}: `shape`
-- counts from 1; `cost` is a text; an absent user, account, topic, channel or id is ''.
-- A shape is {from, to, {expire_at_ms...}, {most...}, {first...}, {more...}, ...}: [from, to) is when the plan holds; for each
-- counter, when it expires, the most that it may reach, -1 for any, the first use that passes a threshold, and the others
-- that do, as many for each counter.

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

-- Adds the alerts of one counter of a message, the index-th, that there was none of: that its use has risen from `before` and
-- passed a threshold, or, with `before` nil, that its limit had no room; `held` is whether the message waits for it. Seldom
-- called, and never for nothing: see `take_room` and `alert_of_want`.
local function alert_of_counter(message, index, counter, before, used, held)
  local shape = message[1]
  local percents = string.gmatch(string.match(alerts_text(shape), '\n(.*)'), '%S+')
  local suffix = ':' .. string.sub(counter, #prefix + 3)
  local function add(type, limit, mark, field, value)
    local key = prefix .. 'n:l:' .. limit[1] .. ':' .. mark .. suffix
    if redis.call('SET', key, '1', 'NX', 'PXAT', shapes[shape][3][index]) then
      redis.call('XADD', prefix .. 'alerts', 'MAXLEN', '~', ALERTS_MAX, '*', 'type', type, 'limit', cjson.encode(limit),
        'used', string.format('%.0f', used), field, value,
        'user', message[5], 'account', message[6], 'topic', message[7], 'channel', message[8])
    end
  end
  for _, limit in ipairs(cjson.decode(limits_text(shape))) do
    local _, _, _, max, _, _, mode, place = unpack(limit)
    local own = percents()
    if place + 1 == index then
      if before then
        for percent in string.gmatch(own, '%d+') do
          local use = math.ceil(max * tonumber(percent) / 100)
          if before < use and used >= use then
            add('limit.threshold', limit, percent, 'threshold', percent)
          end
        end
      elseif mode == 'enforce' then
        -- A shadow limit may share the counter, and stops nothing.
        add('limit.throttled', limit, 't', 'held', held and '1' or '0')
      end
    end
  end
end

-- Adds the alerts of the limits that had no room for a message, whose counters are KEYS[first...]. Nearly always there was one
-- of each already, which has to cost little: a limit without room is met again and again.
local throttling
local function alert_of_want(message, first, exceeded, used, held)
  local shape, marks = message[1], {}
  throttling = throttling or {}
  local ids = throttling[shape]
  if not ids then
    ids = {}
    for id in string.gmatch(string.match(alerts_text(shape), '^[^\n]*'), '%S+') do
      ids[#ids + 1] = id
    end
    throttling[shape] = ids
  end
  for i, index in ipairs(exceeded) do
    marks[i] = prefix .. 'n:l:' .. ids[index] .. ':t:' .. string.sub(KEYS[first + index - 1], #prefix + 3)
  end
  if redis.call('EXISTS', unpack(marks)) < #marks then
    for _, index in ipairs(exceeded) do
      alert_of_counter(message, index, KEYS[first + index - 1], nil, used[index], held)
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
  local _, _, expire_at, most, alert_first, alert_more = unpack(shapes[message[1]])
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
    local after = before + cost
    used[i] = after
    -- Most uses are below every threshold, and cost no more than this.
    if after >= alert_first[i] then
      local passes = before < alert_first[i]
      local thresholds = #alert_more / counters
      for place = (i - 1) * thresholds + 1, i * thresholds do
        passes = passes or (before < alert_more[place] and after >= alert_more[place])
      end
      if passes then
        alert_of_counter(message, i, key, before, after)
      end
    end
  end
  return used
end
