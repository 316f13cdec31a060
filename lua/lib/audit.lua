-- Appends one event to the audit trail.
-- `event` is {type, target, before, after}: before and after are JSON texts, '' for none.
-- `actor` is a JSON text.
local function audit(audit_key, max_length, actor, source, event)
  redis.call('XADD', audit_key, 'MAXLEN', '~', max_length, '*',
    'type', event[1], 'target', event[2], 'before', event[3], 'after', event[4], 'actor', actor, 'source', source)
end
