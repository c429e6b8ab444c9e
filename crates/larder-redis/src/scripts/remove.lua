-- KEYS: the record, then slot and family of each key.
-- ARGV: candidate, life of a mark, longest value to answer with, then of each key its field in the
-- family, or nothing for a base key.
-- Answers the record, and of each key what was there: values, or 1 for one that is too long.
local life, longest = ARGV[2], tonumber(ARGV[3])
sequence = later()
save()

-- Most of what is removed has no family beside it, and much is not there at all: one look at all of them
-- spares several at each. So many names are looked at together.
local together = 2000
local slots, families = {}, {}
for i = 2, #KEYS, 2 do
  table.insert(slots, KEYS[i])
  table.insert(families, KEYS[i + 1])
end
local any_slot = #slots > together or redis.call('EXISTS', unpack(slots)) > 0
local any_family = #families > together or redis.call('EXISTS', unpack(families)) > 0

local function slot_value(key)
  local length = redis.pcall('STRLEN', key)
  if type(length) == 'table' or length > longest then
    return 1
  end
  return length > 0 and redis.call('GET', key)
end

local function field_value(key, field)
  if redis.call('HSTRLEN', key, field) > longest then
    return 1
  end
  return redis.call('HGET', key, field)
end

local function remove_base(slot, family)
  local found, room = {}, 16
  local value = any_slot and slot_value(slot)
  if value then
    table.insert(found, {value, any_family and redis.call('HGET', family, 'c')})
    redis.call('UNLINK', slot)
  end
  local any = false
  for _, field in ipairs(any_family and redis.call('HKEYS', family) or {}) do
    -- The mark of an earlier removal gives way to that of this one.
    any = any or field ~= 'g'
    if string.sub(field, 1, 1) == 'v' then
      room = room - 1
      table.insert(found, {room > 0 and field_value(family, field) or 1, false})
      if room <= 0 then
        break
      end
    end
  end
  if any then
    redis.call('UNLINK', family)
  end
  redis.call('HSET', family, 'g', digits(sequence))
  redis.call('PEXPIRE', family, life)
  return found
end

local function remove_variant(family, field)
  local found = {}
  local value = field_value(family, field)
  if value then
    table.insert(found, {value, false})
    redis.call('HDEL', family, field)
  end
  redis.call('HSET', family, 'x' .. string.sub(field, 2), digits(sequence))
  if redis.call('PTTL', family) == -1 and redis.call('HLEN', family) == 1 then
    redis.call('PEXPIRE', family, life)
  else
    prolong(family, tonumber(life))
  end
  return found
end

local answer = {record()}
for i = 2, #KEYS, 2 do
  local field = ARGV[3 + i / 2]
  tell(KEYS[i])
  if field == '' then
    table.insert(answer, remove_base(KEYS[i], KEYS[i + 1]))
  else
    table.insert(answer, remove_variant(KEYS[i + 1], field))
  end
end
return answer
