-- Of two loads of one key that overlap, the one that started later stays. ARGV[15] is the record of
-- overlaps, or nothing for a write that is no load; it is there if anybody has waited for a load of this
-- key lately, for only then two of them can run at the same time, and holds the machine and the
-- start of the last one that stored. ARGV[16] and ARGV[17] are those of this one; starts on several
-- machines cannot be compared. ARGV[18] is the life of the record.
local overlaps = ARGV[15] ~= '' and redis.call('GET', ARGV[15])
if overlaps then
  local machine, start = string.match(overlaps, '^(%S+) (%d+)$')
  if machine == ARGV[16] and tonumber(start) > tonumber(ARGV[17]) then
    return 'superseded'
  end
end
local function note_start()
  if overlaps then
    redis.call('SET', ARGV[15], ARGV[16] .. ' ' .. ARGV[17], 'PX', ARGV[18])
  end
end
