-- Decides whether a mail about something is sent now: there is one in a certain time, with a count of what has happened
-- since the one before.
--
-- KEYS[1] mail      hash: at, when the last mail was claimed, in epoch milliseconds; by, for which alert; since, JSON: how
--                   often what has happened since; sending, JSON: the same for the mail that was claimed last; before, the
--                   `at` of the one before that
-- ARGV[1] id        the alert's, or of what asks whether there is something to tell
-- ARGV[2] label     what has happened; '' when nothing has
-- ARGV[3] gap_ms    how long after a mail there is no other
-- ARGV[4] keep_ms   how long the hash is kept
--
-- Replies one of
--   {1, since, before}   the mail is to be sent: JSON, and when the one before was, or ''. Asked again for the same id, again
--   {0, at}              not now: it is counted, and may be told at that time, in epoch milliseconds
--   {2}                  there is nothing to tell

-- @include lib/clock

local mail, id, label = KEYS[1], ARGV[1], ARGV[2]
local fields = redis.call('HMGET', mail, 'at', 'by', 'since', 'sending', 'before')
local at, by, since = tonumber(fields[1] or ''), fields[2], cjson.decode(fields[3] or '{}')
local now = now_ms()

if by == id then
  return { 1, fields[4], fields[5] }
end
if at and now < at + tonumber(ARGV[3]) then
  if label ~= '' then
    since[label] = (since[label] or 0) + 1
    redis.call('HSET', mail, 'since', cjson.encode(since))
    redis.call('PEXPIRE', mail, ARGV[4])
  end
  return { 0, at + tonumber(ARGV[3]) }
end
if label == '' and not next(since) then
  return { 2 }
end
local sending, before = cjson.encode(since), fields[1] or ''
redis.call('HSET', mail, 'at', string.format('%.0f', now), 'by', id, 'since', '{}', 'sending', sending, 'before', before)
redis.call('PEXPIRE', mail, ARGV[4])
return { 1, sending, before }
