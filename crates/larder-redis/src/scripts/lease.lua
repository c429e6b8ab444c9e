-- Gives the right to load a key, unless somebody has it. KEYS: the record of the lease, slot and family
-- of the key, the record of overlaps. ARGV: 1 the token of who asks; 2 life of the record; 3 the field of
-- a variant, or nothing for a base key; 4 life of the record of overlaps; 5 the token of a lease that is
-- over, or nothing; 6 the channel; 7 now, in milliseconds.
-- Answers {'lead', whether anything is stored}, {'follow', the token of who leads} or {'alone'}.
if is_for_one(KEYS[4], ARGV[7]) then
  return {'alone'}
end
local taken, held, there = take_lease(KEYS[1], ARGV[1], ARGV[5], ARGV[2], ARGV[6])
if taken then
  local stored = redis.call('EXISTS', KEYS[2])
  if ARGV[3] ~= '' then
    stored = stored + redis.call('HEXISTS', KEYS[3], ARGV[3])
  end
  return {'lead', stored}
end
-- The mark behind the token says that somebody wants to hear of the end.
if #there == #ARGV[1] then
  redis.call('APPEND', KEYS[1], '+')
end
-- Who follows may load beside the leader one day, or after it has run out: see order.lua.
if not redis.call('SET', KEYS[4], '', 'PX', ARGV[4], 'NX') then
  redis.call('PEXPIRE', KEYS[4], ARGV[4])
end
return {'follow', held}
