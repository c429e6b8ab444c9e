-- Makes keys live longer. KEYS: those. ARGV: a candidate that is not needed here, milliseconds or 0.
for _, key in ipairs(KEYS) do
  local left, life = redis.call('PTTL', key), tonumber(ARGV[2])
  if left >= 0 and life == 0 then
    redis.call('PERSIST', key)
  elseif left >= 0 and left < life then
    redis.call('PEXPIRE', key, life)
  end
end
return 'done'
