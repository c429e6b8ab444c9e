-- Ends leases. KEYS: of each its record and the record of overlaps. ARGV: the channel, the life of a record
-- of overlaps, then of each lease its token and until when nobody is to wait for the key, or nothing.
for i = 1, #KEYS, 2 do
  local ended = end_lease(KEYS[i], ARGV[2 + i], ARGV[1])
  if ended and ARGV[3 + i] ~= '' then
    redis.call('SET', KEYS[i + 1], 'alone ' .. ARGV[3 + i], 'PX', ARGV[2])
  end
end
return 'done'
