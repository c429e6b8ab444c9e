-- Gives the right to load a key, unless somebody has it. KEYS: the record of the lease, slot and family
-- of the key. ARGV: the token of who asks, life of the record, the field of a variant or nothing for a
-- base key.
-- Answers {'lead', whether anything is stored}, {'follow', the token of who leads} or {'alone'}.
local token = ARGV[1]
local there = redis.call('GET', KEYS[1])
if there == 'alone' then
  return {'alone'}
end
-- The second part of a call that broke off finds the token of the first one.
if not there or string.sub(there, 1, #token) == token then
  redis.call('SET', KEYS[1], token, 'PX', ARGV[2])
  local stored = redis.call('EXISTS', KEYS[2])
  if ARGV[3] ~= '' then
    stored = stored + redis.call('HEXISTS', KEYS[3], ARGV[3])
  end
  return {'lead', stored}
end
-- The mark behind the token says that somebody wants to hear of the end.
if #there == #token then
  redis.call('APPEND', KEYS[1], '+')
end
return {'follow', string.sub(there, 1, #token)}
