-- Makes leases live on. KEYS: their records. ARGV: the life of a record, then of each its token.
for i, key in ipairs(KEYS) do
  local token = ARGV[1 + i]
  if string.sub(redis.call('GET', key) or '', 1, #token) == token then
    redis.call('PEXPIRE', key, ARGV[1])
  end
end
return 'done'
