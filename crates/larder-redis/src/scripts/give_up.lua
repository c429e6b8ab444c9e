-- Ends leases, and tells those who follow. KEYS: their records. ARGV: the channel, how long nobody waits
-- for a key whose answers are for one user each, then of each record its token and whether it is that
-- of such a key.
for i, key in ipairs(KEYS) do
  local token, alone = ARGV[1 + 2 * i], ARGV[2 + 2 * i]
  local there = redis.call('GET', key) or ''
  if string.sub(there, 1, #token) == token then
    if alone == '1' then
      redis.call('SET', key, 'alone', 'PX', ARGV[2])
    else
      redis.call('DEL', key)
    end
    if #there > #token then
      -- Who may not use the channel leaves the others to look for themselves.
      redis.pcall('PUBLISH', ARGV[1], key)
    end
  end
end
return 'done'
