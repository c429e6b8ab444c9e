-- Gives the right to load a key, unless somebody has it. KEYS: the record of the lease, slot and family
-- of the key, the record of overlaps. ARGV: 1 the token of who asks; 2 life of the record; 3 the field of
-- a variant, or nothing for a base key; 4 life of the record of overlaps; 5 the token of a lease that is
-- over, or nothing; 6 the channel; 7 now, in milliseconds.
-- Answers {'lead', whether anything is stored}, {'follow', the token of who leads} or {'alone'}.
local token = ARGV[1]
local alone = string.match(redis.call('GET', KEYS[4]) or '', '^alone (%d+)$')
if alone and tonumber(alone) > tonumber(ARGV[7]) then
  return {'alone'}
end
local there = redis.call('GET', KEYS[1])
local held = there and string.sub(there, 1, #token)
-- The second part of a call that broke off finds the token of the first one; a process that has just
-- given the lease up, and not told the server yet, the one that it had.
if not there or held == token or held == ARGV[5] then
  redis.call('SET', KEYS[1], token, 'PX', ARGV[2])
  if there and held == ARGV[5] and #there > #token then
    redis.pcall('PUBLISH', ARGV[6], KEYS[1])
  end
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
-- Who follows may load beside the leader one day, or after it has run out: see order.lua.
if not redis.call('SET', KEYS[4], '', 'PX', ARGV[4], 'NX') then
  redis.call('PEXPIRE', KEYS[4], ARGV[4])
end
return {'follow', held}
