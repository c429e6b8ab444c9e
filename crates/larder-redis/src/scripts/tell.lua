-- Tells of changes those whom the server itself does not tell. They keep the record `!p` behind KEYS[1] as
-- long as they listen. The last of ARGV says who makes the change; what is told are names, never values.
local listened

local function tell(name)
  if listened == nil then
    listened = redis.call('EXISTS', KEYS[1] .. 'p') == 1
  end
  if not listened then
    return
  end
  local told = redis.pcall('PUBLISH', KEYS[1] .. 'n', ARGV[#ARGV] .. ':' .. name)
  if type(told) == 'table' and told.err then
    -- An account that may not tell: who listens sees that the record is gone, and keeps no copy from before.
    redis.call('UNLINK', KEYS[1] .. 'p')
    listened = false
  end
end
