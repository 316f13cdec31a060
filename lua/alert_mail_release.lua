-- Takes a mail back that was claimed and could not be sent: the next alert may be told by mail at once, and counts what this
-- one would have told.
--
-- KEYS[1] mail      hash, see alert_mail_claim
-- ARGV[1] id        for which the mail was claimed
-- ARGV[2] label     what had happened; '' when nothing had
--
-- Replies 1 when it was taken back, 0 when another mail was claimed since.

local mail, id, label = KEYS[1], ARGV[1], ARGV[2]
local fields = redis.call('HMGET', mail, 'by', 'since', 'sending', 'before')
if fields[1] ~= id then
  return 0
end
local since = cjson.decode(fields[2])
for name, count in pairs(cjson.decode(fields[3])) do
  since[name] = (since[name] or 0) + count
end
if label ~= '' then
  since[label] = (since[label] or 0) + 1
end
redis.call('HDEL', mail, 'by')
redis.call('HSET', mail, 'since', cjson.encode(since), 'sending', '{}')
if fields[4] == '' then
  redis.call('HDEL', mail, 'at')
else
  redis.call('HSET', mail, 'at', fields[4])
end
return 1
