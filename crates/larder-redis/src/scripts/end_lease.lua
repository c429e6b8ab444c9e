-- Ends the lease `key` if it still has this token, and tells those who follow. Answers whether it had.
local function end_lease(key, token, channel)
  local there = redis.call('GET', key) or ''
  if string.sub(there, 1, #token) ~= token then
    return false
  end
  redis.call('DEL', key)
  if #there > #token then
    -- Who may not use the channel leaves the others to look for themselves.
    redis.pcall('PUBLISH', channel, key)
  end
  return true
end
