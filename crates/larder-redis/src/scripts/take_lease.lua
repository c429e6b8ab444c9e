-- Takes the lease `key` unless somebody has it. Whoever asks twice finds its own token: the second part of a
-- call that broke off. A process that has just given the lease up, and not told the server yet, may take the
-- place of the token that it had, `former`. Answers whether it was taken, the token that is there, and what
-- the record held.
local function take_lease(key, token, former, life, channel)
  local there = redis.call('GET', key)
  local held = there and string.sub(there, 1, #token)
  if there and held ~= token and held ~= former then
    return false, held, there
  end
  redis.call('SET', key, token, 'PX', life)
  if there and held == former and #there > #token then
    redis.pcall('PUBLISH', channel, key)
  end
  return true
end

-- Whether nobody is to wait for the key with this record of overlaps.
local function is_for_one(overlaps, now)
  local alone = string.match(redis.call('GET', overlaps) or '', '^alone (%d+)$')
  return alone and tonumber(alone) > tonumber(now)
end
