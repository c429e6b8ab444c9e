-- What carries the tag of a function is listed in the index of that tag, a sorted set by the number of
-- the last purge that its load had seen: whatever stands below the number of a bump is dead, and its
-- room can be given back. ARGV[13] says how many of the last KEYS are indexes, ARGV[14] how the entry is
-- listed: 'b', the byte of the kind and the base; or for a variant 'x', its digest, kind and base.
local last_mark = #KEYS - tonumber(ARGV[13])

local function listed(member)
  local start = string.sub(member, 1, 1) == 'b' and 2 or 34
  local kind, base = string.sub(member, start, start), string.sub(member, start + 1)
  local namespace = string.sub(KEYS[1], 1, -2)
  if start == 34 then
    local family = namespace .. '!h' .. kind .. ':' .. base
    return redis.call('HEXISTS', family, 'v' .. string.sub(member, 2, 33))
  elseif kind == 'u' and string.sub(base, 1, 1) ~= '!' then
    return redis.call('EXISTS', namespace .. base)
  end
  return redis.call('EXISTS', namespace .. '!' .. kind .. ':' .. base)
end

-- Two members picked at random leave the index if their entries are gone, so that it grows by no more
-- than half of what is there.
local function enlist(life)
  for i = last_mark + 1, #KEYS do
    local index = KEYS[i]
    local left = redis.call('PTTL', index)
    redis.call('ZADD', index, ARGV[3], ARGV[14])
    if life == 0 then
      redis.call('PERSIST', index)
    elseif left ~= -1 and left < life then
      redis.call('PEXPIRE', index, life)
    end
    for _, member in ipairs(redis.call('ZRANDMEMBER', index, 2)) do
      if member ~= ARGV[14] and listed(member) == 0 then
        redis.call('ZREM', index, member)
      end
    end
  end
end
