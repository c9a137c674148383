/**
 * What is done inside Redis, each script in one go: nothing else happens between its first and its last step.
 *
 * A script that can't be finished changes nothing: its checks come first, also of what kind each key is, and its first write is
 * one that Redis refuses where memory is full or writes are not allowed. The keys, all with one hash tag:
 *
 * - `meta`, a hash: `format` and `readable` (the format that it is in, and the lowest that can still read it), `id`, `revision`,
 *   `changeId`, `documents` and `bases`, how many of these there are, `bytes`, how many the commits have, and `restored`, a word
 *   that is new whenever history was put there otherwise than by commits;
 * - `documents`, a hash: service → `{"revision": …, "document": …}`, or `{"base": …, "revision": …, "baseChange": …, "changes": …}`;
 * - `commits`, a stream: an entry `<revision>-0` with `service`, `changeId`, `at` (the store's clock in ms), `commit`, and
 *   `base` where the commit is packed;
 * - `spans`, a hash: base → the last revision that needs it, its change, its service; and `bases`, a hash: the commits of bases
 *   that are needed and have left the stream;
 * - `replicas`, a hash: name → record, and `beats`, a sorted set of the same names by the time of the last beat;
 * - `formats`, a hash: name → the same time, where that replica reads what is packed: one of a former version leaves it behind;
 * - `leader`, a hash: `name`, `until`, `fence`;
 * - `final:<change>`, a text for each change that has ended, which goes by itself after a day.
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

/** The format that this version writes. What former versions can read as well it marks as readable by 1. */
export const FORMAT = 2;

/** A replica that was not heard of for so long does not keep the others from packing, in ms. */
const HEARD_OF = 60_000;

/** What every script begins by. */
export const HEAD = `
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function text(number)
  return string.format('%.0f', number)
end
local function readMeta(key, format)
  local meta = redis.call('HMGET', key, 'readable', 'id', 'revision', 'changeId', 'documents', 'bases', 'restored')
  local readable = meta[1] and #meta[1] < 10 and string.match(meta[1], '^[1-9]%d*$') and tonumber(meta[1])
  if readable and readable > tonumber(format) then return nil, meta[1] end
  if (meta[1] or meta[2]) and not readable then return nil, 'broken' end
  if meta[2] and not (meta[3] and string.match(meta[3], '^%d+$') and #meta[3] < 16) then return nil, 'broken' end
  return { id = meta[2] or '', revision = tonumber(meta[3] or '0'), changeId = meta[4] or '', documents = meta[5], bases = meta[6],
    restored = meta[7] or '', readable = readable or 1 }
end
local function allRead(beats, formats, now)
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', beats, text(now - ${HEARD_OF}), '+inf')) do
    local seen = redis.call('HGET', formats, name)
    if not seen or tonumber(seen) ~= tonumber(redis.call('ZSCORE', beats, name)) then return false end
  end
  return true
end
local function field(entry, name)
  for i = 1, #entry[2], 2 do
    if entry[2][i] == name then return entry[2][i + 1] end
  end
end
local function baseOf(document)
  return document and (string.match(document, '^{"base":(%d+),') or string.match(document, '^{"revision":(%d+),'))
end
local function wholeAt(commits, bases, revision)
  local entry = redis.call('XRANGE', commits, revision .. '-0', revision .. '-0')[1]
  if entry and not field(entry, 'base') then return field(entry, 'commit'), field(entry, 'changeId') end
  return redis.call('HGET', bases, revision)
end
local function isLost(meta, documents, commits, bases)
  if redis.call('HLEN', bases) < (tonumber(meta.bases or '0') or 0) then return true end
  local kept = redis.call('HLEN', documents)
  local entries = redis.call('XLEN', commits)
  if meta.id == '' then return kept > 0 or entries > 0 end
  if kept < (tonumber(meta.documents or '0') or 0) then return true end
  local last = text(meta.revision) .. '-0'
  return meta.changeId ~= '' and #redis.call('XRANGE', commits, last, last) == 0
end
`;

const SEEN = `
local function leftOf(meta)
  if isLost(meta, KEYS[5], KEYS[6], KEYS[7]) then return { id = '', revision = 0, changeId = '', restored = '' } end
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
  return { 'ok', meta.id, text(meta.revision), meta.changeId, text(now), leads, leader[3] or '0', replicas, meta.restored }
end
`;

/** KEYS meta, replicas, beats, leader, documents, commits, bases, formats. ARGV format. Answers ok, id, revision, changeId, time, leader, fence, replicas, restored | newer, format. */
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
redis.call('HLEN', KEYS[8])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('ZADD', KEYS[3], text(now), ARGV[2])
redis.call('HSET', KEYS[8], ARGV[2], text(now))
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. text(now), '+inf', 'LIMIT', 0, 100)) do
  redis.call('ZADD', KEYS[3], text(now), name)
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', text(now - tonumber(ARGV[6])), 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[3], name)
  redis.call('HDEL', KEYS[2], name)
  redis.call('HDEL', KEYS[8], name)
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

/** KEYS replicas, beats, leader, formats. ARGV name. */
export const LEAVE = redisScript(
  `
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
if redis.call('HGET', KEYS[3], 'name') == ARGV[1] then redis.call('HSET', KEYS[3], 'until', '0') end
return 'ok'
`,
  { writes: true },
);

/**
 * KEYS meta, documents, commits, bases. ARGV format. Answers ok, id, revision, changeId, documents, the bases that they need (the
 * revision and the commit of each) | newer, format or what is wrong.
 */
export const LOAD = redisScript(
  `${HEAD}
local meta, newer = readMeta(KEYS[1], ARGV[1])
if not meta then return { 'newer', newer } end
if isLost(meta, KEYS[2], KEYS[3], KEYS[4]) then return { 'newer', 'lost' } end
local documents = redis.call('HGETALL', KEYS[2])
local bases = {}
for i = 2, #documents, 2 do
  local base = string.match(documents[i], '^{"base":(%d+),')
  if base then
    bases[#bases + 1] = base
    bases[#bases + 1] = wholeAt(KEYS[3], KEYS[4], base) or ''
  end
end
return { 'ok', meta.id, text(meta.revision), meta.changeId, documents, bases }
`,
  { writes: false },
);

/** KEYS meta, commits, bases. ARGV format, revisions of bases. Answers ok, then the commit of each ('' where it is gone) | newer, format. */
export const BASES = redisScript(
  `${HEAD}
local meta, newer = readMeta(KEYS[1], ARGV[1])
if not meta then return { 'newer', newer } end
local answer = { 'ok' }
for i = 2, #ARGV do answer[i] = wholeAt(KEYS[2], KEYS[3], ARGV[i]) or '' end
return answer
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

/** KEYS meta, commits. ARGV format. Answers ok, revision, changeId, bytes of the first commit ('' none) | newer, format. */
export const OLDEST = redisScript(
  `${HEAD}
local meta, newer = readMeta(KEYS[1], ARGV[1])
if not meta then return { 'newer', newer } end
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
if not first then return { 'ok', '' } end
local bytes = redis.call('HGET', KEYS[1], 'bytes') or '0'
return { 'ok', string.match(first[1], '^%d+'), field(first, 'changeId') or '', bytes }
`,
  { writes: false },
);
