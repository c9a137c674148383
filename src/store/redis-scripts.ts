/**
 * What is done inside Redis, each script in one go: nothing else happens between its first and its last step.
 *
 * A script that can't be finished changes nothing: its checks come first, also of what kind each key is, and its first write is
 * one that Redis refuses where memory is full or writes are not allowed. The keys, all with one hash tag:
 *
 * - `meta`, a hash: `format` and `readable` (the format that it is in, and the lowest that can still read it), `id`, `revision`,
 *   `changeId`, and `documents`, how many of these there are;
 * - `documents`, a hash: service → `{"revision": …, "document": …}`;
 * - `commits`, a stream: an entry `<revision>-0` with `service`, `changeId`, `at` (the store's clock in ms) and `commit`;
 * - `replicas`, a hash: name → record, and `beats`, a sorted set of the same names by the time of the last beat;
 * - `leader`, a hash: `name`, `until`, `fence`.
 *
 * A store of which a part is gone (Redis evicted a key, or somebody removed one) looks empty to `sync`, so that whoever knows what
 * was in it puts it back; it is neither loaded nor written to, since what is left is not what was decided.
 *
 * Moments after the clock's are those of a server with another clock, before a failover: they count as now.
 *
 * The number of a leadership is the time at which it began, or one more than the last where that is higher: so it rises even
 * when Redis has forgotten the last one.
 */
import { redisScript } from './redis-connection.ts';

/** The format that this version writes, and the lowest whose readers can read it. */
export const FORMAT = 1;
export const READABLE_BY = 1;

/** As many changes as a replica remembers; a store that is written to all day must not grow without end. */
const MOST_COMMITS = 100_000;

const HEAD = `
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function text(number)
  return string.format('%.0f', number)
end
local function readMeta(key, format)
  local meta = redis.call('HMGET', key, 'readable', 'id', 'revision', 'changeId', 'documents')
  local readable = meta[1] and #meta[1] < 10 and string.match(meta[1], '^[1-9]%d*$') and tonumber(meta[1])
  if readable and readable > tonumber(format) then return nil, meta[1] end
  if (meta[1] or meta[2]) and not readable then return nil, 'broken' end
  if meta[2] and not (meta[3] and string.match(meta[3], '^%d+$') and #meta[3] < 16) then return nil, 'broken' end
  return { id = meta[2] or '', revision = tonumber(meta[3] or '0'), changeId = meta[4] or '', documents = meta[5] }
end
local function isLost(meta, documents, commits)
  local kept = redis.call('HLEN', documents)
  local entries = redis.call('XLEN', commits)
  if meta.id == '' then return kept > 0 or entries > 0 end
  if kept < (tonumber(meta.documents or '0') or 0) then return true end
  local last = text(meta.revision) .. '-0'
  return meta.changeId ~= '' and #redis.call('XRANGE', commits, last, last) == 0
end
`;

/**
 * KEYS meta, documents, commits, leader. ARGV format, readable, id for a new store, revision, service, changeId, commit, document ('' none), fence ('' any),
 * deadline by the store's clock, channel, writer, ms and number of commits that are kept.
 * Answers ok | conflict, revision | fence | late, time | newer, format or what is wrong.
 */
export const COMMIT = redisScript(
  `${HEAD}
local meta, newer = readMeta(KEYS[1], ARGV[1])
if not meta then return { 'newer', newer } end
if isLost(meta, KEYS[2], KEYS[3]) then return { 'newer', 'lost' } end
local revision = tonumber(ARGV[4])
if meta.revision ~= revision - 1 then
  local entry = redis.call('XRANGE', KEYS[3], ARGV[4] .. '-0', ARGV[4] .. '-0')[1]
  if entry then
    local fields = entry[2]
    for i = 1, #fields, 2 do
      if fields[i] == 'commit' and fields[i + 1] == ARGV[7] and meta.revision >= revision then return { 'ok' } end
    end
  end
  return { 'conflict', text(meta.revision) }
end
if ARGV[9] ~= '' and redis.call('HGET', KEYS[4], 'fence') ~= ARGV[9] then return { 'fence' } end
local now = clock()
if now > tonumber(ARGV[10]) then return { 'late', text(now) } end
redis.call('XADD', KEYS[3], ARGV[4] .. '-0', 'service', ARGV[5], 'changeId', ARGV[6], 'at', text(now), 'commit', ARGV[7])
if meta.id == '' then redis.call('HSET', KEYS[1], 'id', ARGV[3]) end
redis.call('HSET', KEYS[1], 'format', ARGV[1], 'readable', ARGV[2], 'revision', ARGV[4], 'changeId', ARGV[6])
if ARGV[8] == '' then redis.call('HDEL', KEYS[2], ARGV[5])
else redis.call('HSET', KEYS[2], ARGV[5], ARGV[8]) end
redis.call('HSET', KEYS[1], 'documents', redis.call('HLEN', KEYS[2]))
if revision % 64 == 0 then
  local last = revision - tonumber(ARGV[14])
  local keep = nil
  for _, entry in ipairs(redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', 256)) do
    keep = tonumber(string.match(entry[1], '^%d+'))
    local at = 0
    for i = 1, #entry[2], 2 do
      if entry[2][i] == 'at' then at = tonumber(entry[2][i + 1]) or 0 end
    end
    if keep > last or at > now - tonumber(ARGV[13]) then break end
  end
  if keep then redis.call('XTRIM', KEYS[3], 'MINID', text(keep) .. '-0') end
  redis.call('XTRIM', KEYS[3], 'MAXLEN', '~', ${MOST_COMMITS})
end
redis.call('PUBLISH', ARGV[11], ARGV[12])
return { 'ok' }
`,
  { writes: true },
);

const SEEN = `
local function leftOf(meta)
  if isLost(meta, KEYS[5], KEYS[6]) then return { id = '', revision = 0, changeId = '' } end
  return meta
end
local function seen(meta, now)
  local leader = redis.call('HMGET', KEYS[4], 'name', 'until', 'fence')
  local leads = leader[1] or ''
  if (tonumber(leader[2] or '0') or 0) <= now then leads = '' end
  local records = redis.call('HGETALL', KEYS[2])
  local replicas = {}
  for i = 1, #records, 2 do
    local at = redis.call('ZSCORE', KEYS[3], records[i])
    if at then
      replicas[#replicas + 1] = records[i]
      replicas[#replicas + 1] = records[i + 1]
      replicas[#replicas + 1] = text(math.max(0, now - tonumber(at)))
    end
  end
  return { 'ok', meta.id, text(meta.revision), meta.changeId, text(now), leads, leader[3] or '0', replicas }
end
`;

/** KEYS meta, replicas, beats, leader, documents, commits. ARGV format. Answers ok, id, revision, changeId, time, leader, fence, replicas | newer, format. */
export const LOOK = redisScript(
  `${HEAD}${SEEN}
local meta, newer = readMeta(KEYS[1], ARGV[1])
if not meta then return { 'newer', newer } end
return seen(leftOf(meta), clock())
`,
  { writes: false },
);

/** Like LOOK, after it has registered: ARGV also name, record, lease in ms, lead (0 or 1), ms after which a record is dropped. */
export const BEAT = redisScript(
  `${HEAD}${SEEN}
local meta, newer = readMeta(KEYS[1], ARGV[1])
if not meta then return { 'newer', newer } end
local now = clock()
redis.call('HLEN', KEYS[2])
redis.call('ZCARD', KEYS[3])
redis.call('HLEN', KEYS[4])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('ZADD', KEYS[3], text(now), ARGV[2])
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. text(now), '+inf', 'LIMIT', 0, 100)) do
  redis.call('ZADD', KEYS[3], text(now), name)
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', text(now - tonumber(ARGV[6])), 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[3], name)
  redis.call('HDEL', KEYS[2], name)
end
if ARGV[5] == '1' then
  local leader = redis.call('HMGET', KEYS[4], 'name', 'until', 'fence')
  local ends = now + tonumber(ARGV[4])
  local former = tonumber(leader[3] or '0') or -1
  local isNumber = former >= 0 and former < 2 ^ 53
  local free = not isNumber or (tonumber(leader[2] or '0') or 0) <= now
  if not free and tonumber(leader[2]) > ends then redis.call('HSET', KEYS[4], 'until', text(ends)) end
  if free then
    local fence = math.max(isNumber and former + 1 or 0, now)
    redis.call('HSET', KEYS[4], 'name', ARGV[2], 'fence', text(fence))
  end
  if free or leader[1] == ARGV[2] then redis.call('HSET', KEYS[4], 'until', text(ends)) end
end
return seen(leftOf(meta), now)
`,
  { writes: true },
);

/** KEYS replicas, beats, leader. ARGV name. */
export const LEAVE = redisScript(
  `
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('HGET', KEYS[3], 'name') == ARGV[1] then redis.call('HSET', KEYS[3], 'until', '0') end
return 'ok'
`,
  { writes: true },
);

/** KEYS meta, documents, commits. ARGV format. Answers ok, id, revision, changeId, documents | newer, format or what is wrong. */
export const LOAD = redisScript(
  `${HEAD}
local meta, newer = readMeta(KEYS[1], ARGV[1])
if not meta then return { 'newer', newer } end
if isLost(meta, KEYS[2], KEYS[3]) then return { 'newer', 'lost' } end
return { 'ok', meta.id, text(meta.revision), meta.changeId, redis.call('HGETALL', KEYS[2]) }
`,
  { writes: false },
);

/**
 * KEYS meta, commits. ARGV format, first entry, last entry, how many, how many bytes. Answers ok, id, revision, changeId, entries,
 * where to go on or '' | newer, format. Each entry is its id and its fields. Some more than asked for may come, up to nine entries.
 */
export const RANGE = redisScript(
  `${HEAD}
local meta, newer = readMeta(KEYS[1], ARGV[1])
if not meta then return { 'newer', newer } end
local found, size, from, more = {}, 0, ARGV[2], true
while more and #found < tonumber(ARGV[4]) and size < tonumber(ARGV[5]) do
  local entries = redis.call('XRANGE', KEYS[2], from, ARGV[3], 'COUNT', 10)
  for _, entry in ipairs(entries) do
    found[#found + 1] = entry
    for _, field in ipairs(entry[2]) do size = size + #field end
  end
  more = #entries == 10
  if more then from = '(' .. entries[10][1] end
end
return { 'ok', meta.id, text(meta.revision), meta.changeId, found, more and from or '' }
`,
  { writes: false },
);

/**
 * Looks through a bounded part of the history, newest first. KEYS meta, commits. ARGV format, service, first entry to look at,
 * how many are wanted. Answers ok, where to go on ('' at the end), entries | newer, format.
 */
export const HISTORY = redisScript(
  `${HEAD}
local meta, newer = readMeta(KEYS[1], ARGV[1])
if not meta then return { 'newer', newer } end
local from = ARGV[3]
local found = {}
for _ = 1, 20 do
  local entries = redis.call('XREVRANGE', KEYS[2], from, '-', 'COUNT', 100)
  for _, entry in ipairs(entries) do
    for i = 1, #entry[2], 2 do
      if entry[2][i] == 'service' and entry[2][i + 1] == ARGV[2] then found[#found + 1] = entry end
    end
    if #found >= tonumber(ARGV[4]) then return { 'ok', '', found } end
  end
  if #entries < 100 then return { 'ok', '', found } end
  from = '(' .. entries[#entries][1]
end
return { 'ok', from, found }
`,
  { writes: false },
);

/**
 * KEYS meta, documents, commits. ARGV format, readable, id, revision, changeId, channel, writer, 1 to replace what there is,
 * number of documents, for each its service and JSON, then for each commit its entry id, service, changeId, time, JSON.
 * Answers ok | held | newer, format.
 */
export const RESTORE = redisScript(
  `${HEAD}
redis.call('HLEN', KEYS[2])
redis.call('XLEN', KEYS[3])
local meta, newer = readMeta(KEYS[1], ARGV[1])
if ARGV[8] ~= '1' then
  if not meta then return { 'newer', newer } end
  if meta.revision > 0 and not isLost(meta, KEYS[2], KEYS[3]) then return { 'held' } end
end
redis.call('HSET', KEYS[1], 'format', ARGV[1], 'readable', ARGV[2], 'id', ARGV[3], 'revision', ARGV[4], 'changeId', ARGV[5], 'documents', ARGV[9])
redis.call('DEL', KEYS[2], KEYS[3])
local at = 9
for _ = 1, tonumber(ARGV[at]) do
  redis.call('HSET', KEYS[2], ARGV[at + 1], ARGV[at + 2])
  at = at + 2
end
at = at + 1
while ARGV[at] do
  redis.call('XADD', KEYS[3], ARGV[at], 'service', ARGV[at + 1], 'changeId', ARGV[at + 2], 'at', ARGV[at + 3], 'commit', ARGV[at + 4])
  at = at + 5
end
redis.call('PUBLISH', ARGV[6], ARGV[7])
return { 'ok' }
`,
  { writes: true },
);
