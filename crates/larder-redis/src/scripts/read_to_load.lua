-- Reads a key for somebody who leads its load, and gives the right to load where nothing usable is there.
-- KEYS: the record, slot and family of the key, the record of the lease, that of overlaps, the marks of the
-- tags of the policy. ARGV: 1 the token of who asks; 2 life of a lease; 3 the token of a lease that is over,
-- or nothing; 4 the channel; 5 now, in milliseconds; then the fields of the family that are wanted.
-- Answers {strings, fields, 'lead' or 'alone' or ''}: what MGET and HMGET answer on the plain way.
local now = tonumber(ARGV[5])
local strings = redis.call('MGET', KEYS[1], KEYS[2], unpack(KEYS, 6))
local fields = {}
if #ARGV > 5 then
  fields = redis.call('HMGET', KEYS[3], unpack(ARGV, 6))
end
local generation, sequence = string.match(strings[1] or '', '^(%d+):(%d+):%d+:?%x*$')
if not generation then
  return {strings, fields, ''}
end

-- Whether an entry is fresh, and valid as far as can be seen here. The head of its envelope is read, as
-- docs/FORMAT.md has it; what is no envelope is left to whoever asked.
local function usable(value)
  local start = string.find(string.sub(value, 1, 25), '\245LRD\2', 1, true)
  if not start then
    return true
  end
  local at = start + 11
  local function number()
    local sum, factor = 0, 1
    while true do
      local byte = string.byte(value, at) or 0
      at = at + 1
      sum = sum + byte % 128 * factor
      if byte < 128 then
        return sum
      end
      factor = factor * 128
    end
  end
  local stored, fresh = number(), number()
  number()
  number()
  number()
  local throttled = number() > now
  if fresh > 0 and stored + fresh - 1 <= now and not throttled then
    return false
  end
  number()
  local tags = {}
  for _ = 1, number() do
    local length = number()
    table.insert(tags, string.sub(value, at, at + length - 1))
    at = at + length
  end
  -- A generation has more digits than a number of Lua: the first of them tell two apart.
  local all = number()
  number()
  local seen = number()
  if math.abs(all - tonumber(generation)) > all * 1e-14 or seen > tonumber(sequence) then
    return false
  end
  for _, tag in ipairs(tags) do
    local bumped = redis.call('GET', KEYS[1] .. 't' .. tag)
    if not bumped or tonumber(bumped) > seen then
      return false
    end
  end
  return true
end

local values = {strings[2] or false}
if string.sub(ARGV[6] or '', 1, 1) == 'v' then
  table.insert(values, fields[1])
end
for _, value in ipairs(values) do
  if value and usable(value) then
    return {strings, fields, ''}
  end
end
if is_for_one(KEYS[5], now) then
  return {strings, fields, 'alone'}
end
if take_lease(KEYS[4], ARGV[1], ARGV[3], ARGV[2], ARGV[4]) then
  return {strings, fields, 'lead'}
end
return {strings, fields, ''}
