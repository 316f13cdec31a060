-- What is known of a user: one hash. `ms` is when it was changed last, so that a profile without any field is there too;
-- every other field of the hash is a field of the profile: its name as JSON writes it, in quotation marks, to its value as
-- JSON. So fields can be merged without a reading of JSON in between, which would not give back every number and list as
-- they came.

-- The fields of a profile by name, how many they are, and whether it is there.
local function read_profile(key)
  local stored = redis.call('HGETALL', key)
  local fields = {}
  for i = 1, #stored, 2 do
    if stored[i] ~= 'ms' then
      fields[stored[i]] = stored[i + 1]
    end
  end
  return fields, #stored > 0
end

local function profile_text(fields)
  local parts = {}
  for name, value in pairs(fields) do
    parts[#parts + 1] = name .. ':' .. value
  end
  return '{' .. table.concat(parts, ',') .. '}'
end

-- Changes a profile, or makes it: `changes` is a list of names and values, '' for one that is to go; `anew` begins from
-- nothing. Returns whether anything is different now; nil when it would be larger than `max_bytes` of JSON, and was not
-- changed.
local function write_profile(key, changes, anew, max_bytes, now)
  local before, exists = read_profile(key)
  local fields = {}
  if not anew then
    for name, value in pairs(before) do
      fields[name] = value
    end
  end
  for i = 1, #changes, 2 do
    local value = changes[i + 1]
    fields[changes[i]] = value ~= '' and value or nil
  end
  -- The braces, and one comma less than there are fields.
  local size = 1
  for name, value in pairs(fields) do
    size = size + #name + #value + 2
  end
  if size > max_bytes then
    return nil
  end

  local different = not exists
  for name in pairs(before) do
    if fields[name] == nil then
      redis.call('HDEL', key, name)
      different = true
    end
  end
  for name, value in pairs(fields) do
    if before[name] ~= value then
      redis.call('HSET', key, name, value)
      different = true
    end
  end
  if different then
    redis.call('HSET', key, 'ms', string.format('%.0f', now))
  end
  return different
end
