/**
 * How commits, and whole states, are written in Redis: each script in one go, all of it or nothing.
 *
 * Whatever a commit that stays needs stays as well: the base of one that is packed is put aside when it leaves the stream. Nothing
 * is packed while a replica that can't read it is heard of. The keys are told in redis-scripts.ts.
 */
import { redisScript } from './redis-connection.ts';
import { HEAD } from './redis-scripts.ts';

/** As many changes as a replica remembers; a store that is written to all day must not grow without end. */
const MOST_COMMITS = 100_000;

/**
 * KEYS meta, documents, commits, leader, bases, spans, beats, formats. ARGV format, id for a new store, revision, service, changeId, commit, document ('' none), fence ('' any),
 * deadline by the store's clock, channel, writer, ms, number and bytes of commits that are kept, base ('' none: not packed) and its change.
 * Answers ok | conflict, revision | fence | late, time | whole: it must not be packed, or not so | newer, format or what is wrong.
 */
export const COMMIT = redisScript(
  `${HEAD}
local meta, newer = readMeta(KEYS[1], ARGV[1])
if not meta then return { 'newer', newer } end
if isLost(meta, KEYS[2], KEYS[3], KEYS[5]) then return { 'newer', 'lost' } end
local id, service, changeId, commit, document, fence = ARGV[2], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local keptTime, keptCount, keptBytes, base = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14]), ARGV[15]
local revision = tonumber(ARGV[3])
if meta.revision ~= revision - 1 then
  local entry = redis.call('XRANGE', KEYS[3], ARGV[3] .. '-0', ARGV[3] .. '-0')[1]
  if entry and field(entry, 'commit') == commit and meta.revision >= revision then return { 'ok' } end
  return { 'conflict', text(meta.revision) }
end
if fence ~= '' and redis.call('HGET', KEYS[4], 'fence') ~= fence then return { 'fence' } end
local now = clock()
if now > tonumber(ARGV[9]) then return { 'late', text(now) } end
local readable = meta.readable
if base ~= '' then
  if readable < 2 and not allRead(KEYS[7], KEYS[8], now) then return { 'whole' } end
  if baseOf(redis.call('HGET', KEYS[2], service)) ~= base then return { 'whole' } end
  local whole, made = wholeAt(KEYS[3], KEYS[5], base)
  local span = redis.call('HGET', KEYS[6], base)
  made = made or (span and string.match(span, '^%d+ (%S*) '))
  if not whole or made ~= ARGV[16] then return { 'whole' } end
  readable = math.max(readable, 2)
end
local entry = { 'service', service, 'changeId', changeId, 'at', text(now), 'commit', commit }
if base ~= '' then
  entry[9] = 'base'
  entry[10] = base
end
redis.call('XADD', KEYS[3], ARGV[3] .. '-0', unpack(entry))
if meta.id == '' then redis.call('HSET', KEYS[1], 'id', id) end
redis.call('HSET', KEYS[1], 'format', ARGV[1], 'readable', text(readable), 'revision', ARGV[3], 'changeId', changeId)
if base ~= '' then redis.call('HSET', KEYS[6], base, ARGV[3] .. ' ' .. ARGV[16] .. ' ' .. service) end
if document == '' then redis.call('HDEL', KEYS[2], service)
else redis.call('HSET', KEYS[2], service, document) end
local bytes = tonumber(redis.call('HGET', KEYS[1], 'bytes') or '')
if bytes then bytes = bytes + #commit
else
  bytes = 0
  local sample = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 10)
  for _, one in ipairs(sample) do bytes = bytes + #(field(one, 'commit') or '') end
  bytes = math.floor(bytes / #sample * redis.call('XLEN', KEYS[3]))
end
local left = redis.call('XLEN', KEYS[3])
if revision % 64 == 0 or bytes > keptBytes or left > ${MOST_COMMITS} then
  local keep, going = nil, {}
  local from, looked = '-', 0
  while looked < 256 do
    local some = redis.call('XRANGE', KEYS[3], from, '+', 'COUNT', 8)
    for _, one in ipairs(some) do
      local number = tonumber(string.match(one[1], '^%d+'))
      local at = tonumber(field(one, 'at') or '') or 0
      local old = number <= revision - keptCount and at <= now - keptTime
      if number >= revision or not (old or bytes > keptBytes or left > ${MOST_COMMITS}) then looked = 256 break end
      local its = field(one, 'commit') or ''
      bytes = math.max(0, bytes - #its)
      left = left - 1
      keep = number + 1
      if not field(one, 'base') then going[#going + 1] = { text(number), its } end
      from = '(' .. one[1]
    end
    looked = looked + 8
    if #some < 8 then break end
  end
  if keep then
    local function needed(number)
      local last, of = string.match(redis.call('HGET', KEYS[6], number) or '', '^(%d+) %S* (.*)$')
      if not last then return false end
      return tonumber(last) >= keep or baseOf(redis.call('HGET', KEYS[2], of)) == number
    end
    for _, one in ipairs(going) do
      if needed(one[1]) then redis.call('HSET', KEYS[5], one[1], one[2])
      else redis.call('HDEL', KEYS[6], one[1]) end
    end
    for _, number in ipairs(redis.call('HKEYS', KEYS[5])) do
      if not needed(number) then
        redis.call('HDEL', KEYS[5], number)
        redis.call('HDEL', KEYS[6], number)
      end
    end
    redis.call('XTRIM', KEYS[3], 'MINID', text(keep) .. '-0')
  end
end
redis.call('HSET', KEYS[1], 'documents', redis.call('HLEN', KEYS[2]), 'bases', redis.call('HLEN', KEYS[5]), 'bytes', text(bytes))
redis.call('PUBLISH', ARGV[10], ARGV[11])
return { 'ok' }
`,
  { writes: true },
);

/**
 * KEYS meta, documents, commits, bases, spans, beats, formats. ARGV format, the lowest that reads it, id, revision, changeId, channel,
 * writer, 1 to replace what there is, number of documents, for each its service and JSON, then for each commit its entry id, service,
 * changeId, time, base and the base's change ('' none), JSON. Answers ok | held | whole: nothing may be packed | newer, format.
 */
export const RESTORE = redisScript(
  `${HEAD}
redis.call('HLEN', KEYS[2])
redis.call('XLEN', KEYS[3])
redis.call('HLEN', KEYS[4])
redis.call('HLEN', KEYS[5])
local meta, newer = readMeta(KEYS[1], ARGV[1])
if ARGV[8] ~= '1' then
  if not meta then return { 'newer', newer } end
  if meta.revision > 0 and not isLost(meta, KEYS[2], KEYS[3], KEYS[4]) then return { 'held' } end
end
if ARGV[2] ~= '1' and not allRead(KEYS[6], KEYS[7], clock()) then return { 'whole' } end
redis.call('HSET', KEYS[1], 'format', ARGV[1], 'readable', ARGV[2], 'id', ARGV[3], 'revision', ARGV[4], 'changeId', ARGV[5], 'documents', ARGV[9], 'bases', '0', 'restored', ARGV[3] .. ':' .. text(clock()))
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5])
local at = 9
for _ = 1, tonumber(ARGV[at]) do
  redis.call('HSET', KEYS[2], ARGV[at + 1], ARGV[at + 2])
  at = at + 2
end
at = at + 1
local bytes = 0
while ARGV[at] do
  local entry = { 'service', ARGV[at + 1], 'changeId', ARGV[at + 2], 'at', ARGV[at + 3], 'commit', ARGV[at + 6] }
  if ARGV[at + 4] ~= '' then
    entry[9] = 'base'
    entry[10] = ARGV[at + 4]
    local revision = string.match(ARGV[at], '^%d+')
    redis.call('HSET', KEYS[5], ARGV[at + 4], revision .. ' ' .. ARGV[at + 5] .. ' ' .. ARGV[at + 1])
  end
  redis.call('XADD', KEYS[3], ARGV[at], unpack(entry))
  bytes = bytes + #ARGV[at + 6]
  at = at + 7
end
redis.call('HSET', KEYS[1], 'bytes', text(bytes))
redis.call('PUBLISH', ARGV[6], ARGV[7])
return { 'ok' }
`,
  { writes: true },
);

/** Moving a longer history takes Redis too long at once. */
const MOST_MOVED = 10_000;

/**
 * Puts older commits in front of the history; a stream takes none, so it is made anew. KEYS meta, commits, spans, beats, formats. ARGV
 * format, id, the revision and the change that the history begins by, 1 where something is packed, channel, writer, then for each commit
 * what RESTORE has. Answers ok | held: the history does not begin so, or is too long | whole: nothing may be packed | newer, format.
 */
export const ADD_OLDER = redisScript(
  `${HEAD}
redis.call('XLEN', KEYS[2])
redis.call('HLEN', KEYS[3])
local meta, newer = readMeta(KEYS[1], ARGV[1])
if not meta then return { 'newer', newer } end
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
if meta.id ~= ARGV[2] or not first or redis.call('XLEN', KEYS[2]) > ${MOST_MOVED} then return { 'held' } end
if first[1] ~= ARGV[3] .. '-0' or field(first, 'changeId') ~= ARGV[4] then return { 'held' } end
local now = clock()
if ARGV[5] == '1' and meta.readable < 2 and not allRead(KEYS[4], KEYS[5], now) then return { 'whole' } end
local bytes = tonumber(redis.call('HGET', KEYS[1], 'bytes') or '0') or 0
redis.call('HSET', KEYS[1], 'restored', ARGV[2] .. ':' .. ARGV[8] .. ':' .. text(now))
if ARGV[5] == '1' then redis.call('HSET', KEYS[1], 'readable', '2') end
local moved = redis.call('XRANGE', KEYS[2], '-', '+')
redis.call('DEL', KEYS[2])
local at = 8
while ARGV[at] do
  local entry = { 'service', ARGV[at + 1], 'changeId', ARGV[at + 2], 'at', ARGV[at + 3], 'commit', ARGV[at + 6] }
  if ARGV[at + 4] ~= '' then
    entry[9] = 'base'
    entry[10] = ARGV[at + 4]
    local revision = string.match(ARGV[at], '^%d+')
    local needed = string.match(redis.call('HGET', KEYS[3], ARGV[at + 4]) or '', '^(%d+) ')
    if tonumber(needed or '0') < tonumber(revision) then
      redis.call('HSET', KEYS[3], ARGV[at + 4], revision .. ' ' .. ARGV[at + 5] .. ' ' .. ARGV[at + 1])
    end
  end
  redis.call('XADD', KEYS[2], ARGV[at], unpack(entry))
  bytes = bytes + #ARGV[at + 6]
  at = at + 7
end
for _, one in ipairs(moved) do redis.call('XADD', KEYS[2], one[1], unpack(one[2])) end
redis.call('HSET', KEYS[1], 'bytes', text(bytes))
redis.call('PUBLISH', ARGV[6], ARGV[7])
return { 'ok' }
`,
  { writes: true },
);

/**
 * KEYS meta, then the key of each record. ARGV format, the store's id, ms, then for each its text ('' asks only), 1 where it takes the
 * place of one that is there, and the word `restored` that it is recorded under (* any). Answers ok, then what is recorded of each ('' nothing) | other: another store | newer, format.
 */
export const FINALS = redisScript(
  `${HEAD}
local meta, newer = readMeta(KEYS[1], ARGV[1])
if not meta then return { 'newer', newer } end
if meta.id ~= '' and meta.id ~= ARGV[2] then return { 'other' } end
local answer = { 'ok' }
for i = 2, #KEYS do
  local text, replaces, restored = ARGV[3 * i - 2], ARGV[3 * i - 1] == '1', ARGV[3 * i]
  local found = redis.call('GET', KEYS[i])
  local open = restored == '*' or (meta.id ~= '' and restored == meta.restored)
  if text ~= '' and open and (not found or replaces) then
    redis.call('SET', KEYS[i], text, 'PX', ARGV[3])
    found = text
  end
  answer[i] = found or ''
end
return answer
`,
  { writes: true },
);
