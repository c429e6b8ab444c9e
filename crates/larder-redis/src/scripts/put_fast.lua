-- The short way of put.lua, for what is written most: nothing was purged in the whole namespace
-- since the load started, the tags have their marks, and what is written takes the place of
-- nothing that would have to give way. ARGV[12] is the record that the load saw.
local there = (redis.call('GET', KEYS[1]) or '') .. ':'
if ARGV[8] == '' and string.sub(there, 1, #ARGV[12] + 1) == ARGV[12] .. ':' then
  local field, life = ARGV[4], tonumber(ARGV[7])
  local function prolonged(key, least)
    local left = redis.call('PTTL', key)
    if left >= 0 and life == 0 then
      redis.call('PERSIST', key)
    elseif left >= 0 and left < math.max(life, least) then
      redis.call('PEXPIRE', key, math.max(life, least))
    end
    return left ~= -2
  end
  local short = ARGV[6] == ''
  if field == '' then
    short = short and redis.call('EXISTS', KEYS[3]) == 0
  else
    short = redis.call('HEXISTS', KEYS[3], field) == 1
  end
  for i = 4, last_mark do
    short = short and prolonged(KEYS[i], tonumber(ARGV[10]))
  end
  if short and field ~= '' then
    redis.call('HSET', KEYS[3], field, ARGV[5])
    prolonged(KEYS[3], 0)
    enlist(life)
    landed()
    return 'stored'
  elseif short then
    if life > 0 then
      redis.call('SET', KEYS[2], ARGV[5], 'PX', life)
    else
      redis.call('SET', KEYS[2], ARGV[5])
    end
    enlist(life)
    landed()
    return 'stored'
  end
end
