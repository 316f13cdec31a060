-- Receipts: what a provider says later of the parts of a message that it took. The script that includes it has included
-- lib/log, lib/send and lib/release.
--   pp:<provider>:<id>   string: the message that a provider's id of a part stands for
--   pe:<provider>:<id>   string: a receipt that came before that was known, as JSON
-- A receipt is {stage, detail, error, code}: how far the part has come, JSON for the log, and when it failed what went
-- wrong, in words, and the provider's code for it, as of `ec` in lib/send.

-- The stages, each by its letter in the state's `pt`. What is known of a part only ever rises; d, delivered, and f, failed,
-- are final.
local STAGE_RANKS = { w = 0, a = 1, b = 2, u = 3, d = 4, f = 4 }

local function part_key(prefix, provider, part)
  return prefix .. 'pp:' .. escape_part(provider) .. ':' .. escape_part(part)
end

local function early_key(prefix, provider, part)
  return prefix .. 'pe:' .. escape_part(provider) .. ':' .. escape_part(part)
end

-- The `pt` of a message all of whose parts are on their way.
local function waiting_parts(parts)
  local lines = {}
  for i, part in ipairs(parts) do
    lines[i] = 'w' .. part
  end
  return table.concat(lines, '\n')
end

-- Has a provider's ids lead to their message, for so long.
local function remember_parts(prefix, provider, parts, id, keep_ms)
  for _, part in ipairs(parts) do
    redis.call('SET', part_key(prefix, provider, part), id, 'PX', keep_ms)
  end
end

-- Brings a receipt about a part into the state of its message. `counters` are to give back what the message counted when
-- it failed: each counter, then the mark that a reset of it leaves; `refund` is whether it gives back, which may be
-- nothing. Returns
--   'delivered', 'undeliverable'   the message is now
--   'noted'                        it says something new, and there is more to come
--   'repeated'                     that, or more, was known of the part
--   'late'                         the message waits for no receipt about this part, or no more
local function apply_receipt(prefix, id, part, receipt, now, refund, counters)
  local key = send_key(prefix, id)
  local state = read_fields(key, { 'st', 'q', 'ev', 'ol', 'pt', 'cd', 'k', 'dm', 'ms', 'r' })
  if state.st ~= 'SENT' then
    return 'late'
  end
  local stage, detail, error, code = unpack(receipt)
  local lines, known, all_delivered = lines_of(state.pt), nil, true
  for i, line in ipairs(lines) do
    if string.sub(line, 2) == part then
      known = string.sub(line, 1, 1)
      lines[i] = stage .. part
    end
    all_delivered = all_delivered and string.sub(lines[i], 1, 1) == 'd'
  end
  if not known then
    return 'late'
  end
  if STAGE_RANKS[stage] <= STAGE_RANKS[known] then
    return 'repeated'
  end
  local parts = table.concat(lines, '\n')

  if stage == 'f' then
    local more = { 'pt', parts, 'er', error, 'ec', code, 'rs', 'BOUNCED' }
    local gives_back = refund and state.cd ~= '0'
    if gives_back and #counters > 0 then
      for i = 1, #counters, 2 do
        give_back(prefix, counters[i], counters[i + 1], number_of(state.k, 1),
          number_of(state.dm, tonumber(state.ms)))
      end
      more[#more + 1] = 'cd'
      more[#more + 1] = '0'
      detail = string.sub(detail, 1, -2) .. ',"gave_back":true}'
    end
    add_mark(prefix, nil, 'failed', now, 'm', id, 'g', gives_back and '1' or '')
    set_status(prefix, id, state, 'UNDELIVERABLE', detail, now, more)
    return 'undeliverable'
  end
  if all_delivered then
    set_status(prefix, id, state, 'DELIVERED', detail, now, { 'pt', parts, 'dl', string.format('%.0f', now) })
    drop_payload(prefix, state.r == '' and id or state.r, id)
    return 'delivered'
  end
  redis.call('HSET', key, 'pt', parts, 'ev', add_event(prefix, id, state.ev, 'RECEIPT', detail, now))
  return 'noted'
end
