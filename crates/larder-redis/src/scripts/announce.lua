-- Tells of a change that another command has made. KEYS: the record, a name. ARGV: a candidate that is not
-- needed here, who tells.
tell(KEYS[2])
return 'done'
