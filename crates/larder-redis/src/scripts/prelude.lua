-- Common to all scripts. KEYS[1] is the record of the namespace, "generation:sequence:floor:server";
-- ARGV[1] is the generation of a namespace that has no record yet.
local generation, sequence, floor, server

-- Purges are numbered by microseconds, so that the numbers go up even where a replica that had
-- not seen the last ones takes over.
local function later()
  local time = redis.call('TIME')
  return math.max(sequence + 1, time[1] * 1000000 + time[2])
end

local function digits(number)
  return string.format('%.0f', number)
end

local function record()
  return generation .. ':' .. digits(sequence) .. ':' .. digits(floor) .. server
end

local function save()
  redis.call('SET', KEYS[1], record())
end

-- Which run of which server this is, behind a colon, and whether it is written to. A replica that takes
-- over is another one from then on. Nothing where an account may not ask.
local function identity()
  local run, links = redis.pcall('INFO', 'server'), redis.pcall('INFO', 'replication')
  if type(run) ~= 'string' or type(links) ~= 'string' then
    return '', true
  end
  local name = string.match(run, 'run_id:(%x+)') or ''
  local before = string.match(links, 'master_replid2:(%x+)') or ''
  local digest = redis.sha1hex(name .. ':' .. before)
  return ':' .. string.sub(digest, 1, 16), not string.find(links, 'role:slave', 1, true)
end

local function load()
  local text = redis.call('GET', KEYS[1]) or ''
  local all, number, lowest, last = string.match(text, '^(%d+):(%d+):(%d+)(:?%x*)$')
  if all then
    generation, sequence, floor, server = all, tonumber(number), tonumber(lowest), last
  else
    -- Whatever was stored under the lost record is invalid: its generation is another one.
    generation, sequence, floor, server = ARGV[1], 0, 0, identity()
    sequence = later()
    save()
  end
end

-- Makes a key live for `life` milliseconds more at least; 0 is for ever.
local function prolong(key, life)
  local left = redis.call('PTTL', key)
  if left >= 0 then
    if life == 0 then
      redis.call('PERSIST', key)
    elseif left < life then
      redis.call('PEXPIRE', key, life)
    end
  end
end

load()
