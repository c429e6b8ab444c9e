-- Gives back the room of entries that a bump made invalid. KEYS: an index. ARGV: a candidate that is not
-- needed here, the namespace, the number of the bump, how many entries at most.
-- Answers how many there were.
local namespace = ARGV[2]
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[3], 'LIMIT', 0, ARGV[4])
for _, member in ipairs(dead) do
  local start = string.sub(member, 1, 1) == 'b' and 2 or 34
  local kind, base = string.sub(member, start, start), string.sub(member, start + 1)
  local family = namespace .. '!h' .. kind .. ':' .. base
  if start == 34 then
    redis.call('HDEL', family, 'v' .. string.sub(member, 2, 33))
  else
    local plain = kind == 'u' and string.sub(base, 1, 1) ~= '!'
    redis.call('UNLINK', namespace .. (plain and base or '!' .. kind .. ':' .. base))
    redis.call('HDEL', family, 'c')
  end
end
if #dead > 0 then
  redis.call('ZREM', KEYS[1], unpack(dead))
end
return #dead
