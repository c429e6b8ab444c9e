-- KEYS: the record, slot, family, the marks of the tags, the indexes of those of functions.
-- ARGV: 1 candidate; 2 generation and 3 sequence that the load started under; 4 the field of a
-- variant, or nothing for a base key; 5 the value; 6 the note of a counter, or nothing; 7 life in
-- milliseconds, 0 for ever; 8 condition: nothing, 'absent', 'add' for a counter to add to, or the
-- digest of what has to be there; 9 what to add; 10 life of a mark; 11 now, in milliseconds; 12 the
-- record that the load saw.
-- Answers 'stored', 'superseded', {'purged', record}, {'there', record, value, note} or
-- {'added', record, sum, note}.
local slot, family = KEYS[2], KEYS[3]
local seen, field, value, note = tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
local life, condition = tonumber(ARGV[7]), ARGV[8]
local mark = tonumber(ARGV[10])
local variant = string.sub(field, 2)

local function known(text)
  return tonumber(text or 0) <= seen
end

-- Whether no purge came that the load has not seen. A tag without a mark gets one here: if it was
-- bumped before, its mark was lost, and only loads from now on can be trusted.
local function unpurged()
  local fine = ARGV[2] == generation and seen <= sequence and seen >= floor
  local marks = redis.call('HMGET', family, 'g', 'w', 'x' .. variant)
  fine = fine and known(marks[1]) and (field == '' or (known(marks[2]) and known(marks[3])))
  for i = 4, last_mark do
    local bumped = redis.call('GET', KEYS[i])
    if not bumped then
      bumped = digits(sequence)
      redis.call('SET', KEYS[i], bumped)
      if life > 0 then
        redis.call('PEXPIRE', KEYS[i], math.max(life, mark))
      end
    else
      prolong(KEYS[i], life == 0 and 0 or math.max(life, mark))
    end
    fine = fine and known(bumped)
  end
  return fine
end

local function present()
  if field == '' then
    return redis.call('GET', slot), redis.call('HGET', family, 'c')
  end
  return redis.call('HGET', family, field), false
end

-- Forgets some of the variants that have expired, so that a family whose members come and go does
-- not grow without end.
local function sweep()
  local some = redis.pcall('HRANDFIELD', family, 2)
  if some.err then
    return
  end
  for _, name in ipairs(some) do
    local kind = string.sub(name, 1, 1)
    if kind == 'v' and name ~= field then
      local until_ = string.sub(redis.call('HGET', family, name), 1, 20)
      if until_ <= string.format('%020.0f', tonumber(ARGV[11])) then
        redis.call('HDEL', family, name)
      end
    elseif kind == 'x' then
      local time = redis.call('TIME')
      if tonumber(redis.call('HGET', family, name)) < (time[1] * 1000 - mark) * 1000 then
        redis.call('HDEL', family, name)
      end
    end
  end
end

-- What is stored under the base key serves every variant, so their own have to go, and those
-- that are being loaded come too late.
local function drop_variants()
  local any = false
  local fields = redis.call('HKEYS', family)
  for _, name in ipairs(fields) do
    if string.sub(name, 1, 1) == 'v' then
      redis.call('HDEL', family, name)
      any = true
    end
  end
  if any then
    sequence = later()
    save()
    redis.call('HSET', family, 'w', digits(sequence))
    redis.call('PEXPIRE', family, mark)
  end
end

local function put_base()
  if life > 0 then
    redis.call('SET', slot, value, 'PX', life)
  else
    redis.call('SET', slot, value)
  end
  if redis.call('EXISTS', family) == 0 then
    if note ~= '' then
      redis.call('HSET', family, 'c', note)
      if life > 0 then
        redis.call('PEXPIRE', family, life)
      end
    end
    return
  end
  drop_variants()
  if note ~= '' then
    redis.call('HSET', family, 'c', note)
    prolong(family, life)
  else
    redis.call('HDEL', family, 'c')
  end
end

local function put_variant()
  local new = redis.call('EXISTS', family) == 0
  local added = redis.call('HSET', family, field, value)
  if new and life > 0 then
    redis.call('PEXPIRE', family, life)
  elseif not new then
    prolong(family, life)
    if added == 1 then
      sweep()
    end
  end
end

if condition ~= '' then
  local there, noted = present()
  if condition == 'absent' or condition == 'add' then
    if there and condition == 'add' and #there <= 20 and string.match(there, '^-?%d+$') then
      local sum = redis.pcall('INCRBY', slot, ARGV[9])
      if type(sum) == 'table' then
        return sum
      end
      tell(slot)
      return {'added', record(), redis.call('GET', slot), noted}
    end
    if there then
      return {'there', record(), there, noted}
    end
  elseif redis.sha1hex(noted or there or '') ~= condition then
    return {'there', record(), there, noted}
  end
end
if not unpurged() then
  return {'purged', record()}
end
if field == '' then
  put_base()
else
  put_variant()
end
enlist(life)
landed()
return 'stored'
