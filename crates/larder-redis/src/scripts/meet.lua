-- Sees to it that nothing is read in a namespace on a server that may not know all of its purges: one that
-- took over from another, or started anew from what it had once written down. KEYS: the record. ARGV: the
-- next generation. A replica is left as it is.
local mine, writes = identity()
if writes and mine ~= '' and mine ~= server then
  server = mine
  sequence = later()
  generation = ARGV[1]
  floor = sequence
  save()
  tell(KEYS[1])
end
return server
