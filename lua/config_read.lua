-- Reads what changed in the configuration since a version, a page at a time.
--
-- KEYS[1] config    hash: version, floor
-- KEYS[2] items     hash: id -> JSON
-- KEYS[3] changes   sorted set: id, scored by the version of its last change
-- ARGV[1] since     the version that the caller has
-- ARGV[2] most      the most items in one reply, at most 1000
--
-- Replies {time_ms, version, reload, more, id, json, ...}: see config_changes.

-- @include lib/clock
-- @include lib/config

local reply = config_changes(KEYS[1], KEYS[2], KEYS[3], tonumber(ARGV[1]), tonumber(ARGV[2]))
table.insert(reply, 1, now_ms())
return reply
