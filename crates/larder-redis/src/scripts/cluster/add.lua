local there = redis.call('GET', KEYS[1])
if there and string.sub(there, -#ARGV[3]) == ARGV[3] then
  return there
end
if ARGV[2] == '0' then
  redis.call('SET', KEYS[1], ARGV[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return false
