-- Of two loads of one key that overlap, the one that started later stays. ARGV[15] is the record of
-- overlaps, or nothing for a write that is no load; it is there if anybody has waited for a load of this
-- key lately, for only then two of them can run at the same time, and holds the machine and the
-- start of the last one that stored. ARGV[16] and ARGV[17] are those of this one; starts on several
-- machines cannot be compared. ARGV[18] is the life of the record. It may also say that nobody is to wait
-- for this key: an answer that is stored is for all, and ends that.
local overlaps = ARGV[15] ~= '' and redis.call('GET', ARGV[15])
if overlaps then
  local machine, start = string.match(overlaps, '^(%S+) (%d+)$')
  if machine == ARGV[16] and tonumber(start) > tonumber(ARGV[17]) then
    return 'superseded'
  end
end

-- It is written, and told to those who listen. The load is over: the record of overlaps has its start, and the lease ends that it may have run
-- under, with the name ARGV[19] and the token ARGV[20]; ARGV[21] is the channel.
local function landed()
  tell(KEYS[2])
  if overlaps then
    redis.call('SET', ARGV[15], ARGV[16] .. ' ' .. ARGV[17], 'PX', ARGV[18])
  end
  if ARGV[20] ~= '' then
    end_lease(ARGV[19], ARGV[20], ARGV[21])
  end
end
