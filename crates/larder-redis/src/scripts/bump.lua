-- KEYS: the record, the tags. ARGV: candidate, life of a mark.
sequence = later()
save()
for i = 2, #KEYS do
  redis.call('SET', KEYS[i], digits(sequence), 'PX', ARGV[2])
  tell(KEYS[i])
end
return record()
