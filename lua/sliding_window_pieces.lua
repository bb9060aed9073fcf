-- Large logs of `sliding_window`, from 32 entries on: a hash of pieces, so that no call has to copy, move
-- or free all of a log. sliding_window.lua has the small ones, and all that both kinds have in common.
--
-- The entries of a log have positions, counted from 0 when the hash was made and never changed. An entry
-- has 11 bytes: time (7) and total (4). Totals are counted modulo 2^32; only their differences matter.
-- The hash has these fields:
--
--     log     first flushed dropped base (8 bytes each), the oldest entry that counts, and then the
--             newest entries: at least 1, at most 31
--     0 1 ..  744 entries each, the older ones: entry p stands in the field floor(p / 744). Only the
--             last of these fields may have fewer entries; it grows by 31 at a time
--     index   of each full field, from some field on, its last entry again
--
--     first    position of the oldest entry that counted at the last write; it is in `log` too, since
--             most calls need no other of the older ones
--     flushed  position of the first entry in `log`; the numbered fields end here
--     dropped  number of the first numbered field that is still there
--     base     total before `first`
--
-- An example: 1,600 entries were written, a unit each, and the first 800 of them have left the window.
--
--     log     800 1581 0 800, entry 800, entries 1581 to 1599 (a full `log` was moved 51 times: 51 * 31 = 1581)
--     0       entries 0 to 743, which have all left: the next write drops this field
--     1       entries 744 to 1487
--     2       entries 1488 to 1580
--     index   entry 743, entry 1487
--
-- A write sets `log`, whose entries move into the last numbered field when there are 31; then it deletes
-- at most one field of which all entries have left. A search looks into the field where it begins, else
-- reads `index` and one more field. So a call copies at most five fields of 8 KiB and the index, which
-- has 15 KB for a million entries.
--
-- The layout before this one was a ring in a string, of any size:
--
--     slots head count base { slots of time total }    8 bytes each
--
-- A string can't become a hash in pieces. So the first write renames the ring, which costs the same
-- whatever its size, and the hash holds only what is newer, with the place of the older entries in the
-- ring. They are read there until they have left the window; nothing writes to the ring again. The
-- name is the key and, in braces, the key once more: no request has such a key, since braces in values
-- are escaped, and Redis Cluster keeps both in one slot. `log` then has four more numbers behind `base`:
--
--     moved    entries before this position stand in the ring; 0 when there is no ring
--     slots    of the ring
--     slot     of the ring in which position 0 would stand
--     end      total before `moved`, by which the log goes on if somebody deletes the ring
algorithms.sliding_window_pieces = function(search)
    local ENTRY, NEWEST, PIECE = 11, 31, 744
    local NUMBERS, RING_NUMBERS = 32, 32
    local RING_HEADER, RING_ENTRY = 32, 16
    local INDEX_MAX = 16384 -- bytes; a million entries need 14,795
    local TURN = 2 ^ 32
    local MINUTE_MS = 60000

    -- A user of Redis who was made for an earlier version lacks rights to some commands. The error of
    -- Redis 7.0 ("can't run") does not name the command, that of 8 ("to run") does.
    local function call(command, ...)
        local reply = redis.pcall(command, ...)
        local err = type(reply) == 'table' and reply.err
        if err and (err:find("user executing the script can't run", 1, true) or
            err:find('no permissions to run', 1, true)) then
            return {err = 'NOPERM the user of Redis may not run ' .. command ..
                ', which large logs of sliding_window need'}
        end
        return reply
    end

    local function ring_key(key)
        return key .. '{' .. key .. '}'
    end

    local function piece_of(position)
        return math.floor(position / PIECE)
    end

    -- The position behind the last entry of a numbered field.
    local function piece_end(log, number)
        return math.min((number + 1) * PIECE, log.flushed)
    end

    -- Whether a field has so many bytes. What somebody else wrote may be large, and is not read.
    local function has_field(log, field, length)
        local found = call('HSTRLEN', log.key, field)
        if found ~= length then
            log.failure = type(found) == 'table' and found or broken('sliding_window')
        end
        return not log.failure
    end

    local function read_field(log, field)
        local value = call('HGET', log.key, field)
        if type(value) == 'table' then
            log.failure = value
            return nil
        end
        return value
    end

    -- A numbered field, each once a call; nil and log.failure when it is not what it should be.
    local function read_piece(log, number)
        local piece = log.pieces[number]
        if not piece and has_field(log, number, ENTRY * (piece_end(log, number) - number * PIECE)) then
            piece = read_field(log, number)
            log.pieces[number] = piece
        end
        return piece
    end

    -- The first full field that the index has to know.
    local function first_indexed(log)
        return piece_of(math.max(log.first, log.moved))
    end

    -- Whether there is an index that begins early enough.
    local function check_index(log)
        local length = call('HSTRLEN', log.key, 'index')
        if type(length) == 'table' then
            log.failure = length
            return false
        end
        log.index_from = piece_of(log.flushed) - length / ENTRY
        if length > INDEX_MAX or log.index_from % 1 ~= 0 or
            log.index_from < piece_of(log.moved) or log.index_from > first_indexed(log) then
            log.failure = broken('sliding_window')
            return false
        end
        return true
    end

    local function read_index(log)
        if not log.index and check_index(log) then
            log.index = read_field(log, 'index') or ''
        end
        return log.index
    end

    -- The time and total of an entry as they stand in Redis; nil when they can't be read.
    local function stored_entry(log, position)
        if position >= log.flushed then
            return struct.unpack('>I7I4', log.raw, log.header + ENTRY * (position - log.flushed) + 1)
        elseif position == log.oldest then
            return struct.unpack('>I7I4', log.raw, log.header - ENTRY + 1)
        elseif position >= log.moved then
            local piece = read_piece(log, piece_of(position))
            if piece then
                return struct.unpack('>I7I4', piece, ENTRY * (position % PIECE) + 1)
            end
            return nil
        end
        local start = RING_HEADER + RING_ENTRY * ((log.slot + position) % log.slots)
        local raw = redis.call('GETRANGE', log.ring, start, start + RING_ENTRY - 1)
        if #raw ~= RING_ENTRY then
            log.failure = broken('sliding_window')
            return nil
        end
        return struct.unpack('>I8I8', raw)
    end

    -- The time of an entry, and the units since log.base up to and with it.
    local function entry(log, position)
        local time, total = stored_entry(log, position)
        if not time then
            return 0, 0
        end
        return time, (total - log.base) % TURN
    end

    -- The first full field from `number` on whose last entry has at least `value` in `field` of (time,
    -- units); the one behind the full ones when none has.
    local function find_piece(log, number, field, value)
        local index = read_index(log)
        local low, high = number, piece_of(log.flushed)
        while index and low < high do
            local middle = math.floor((low + high) / 2)
            local time, total = struct.unpack('>I7I4', index, ENTRY * (middle - log.index_from) + 1)
            if (field == 1 and time or (total - log.base) % TURN) < value then
                low = middle + 1
            else
                high = middle
            end
        end
        return low
    end

    local function find(log, low, field, value)
        if low < log.moved then
            low = search(log, low, log.moved, field, value)
            if low < log.moved then
                return low
            end
        end
        if low < log.flushed then
            local stop = piece_end(log, piece_of(low))
            low = search(log, low, stop, field, value)
            if low < stop then
                return low
            end
        end
        if low < log.flushed then
            local number = find_piece(log, piece_of(low), field, value)
            low = search(log, number * PIECE, piece_end(log, number), field, value)
            if low < log.flushed then
                return low
            end
        end
        return search(log, low, log.next, field, value)
    end

    -- Without the ring, since somebody deleted it, the log begins with what came after it.
    local function read_place_in_ring(log)
        log.moved, log.slots, log.slot, log.total_moved = struct.unpack('>I8I8I8I8', log.raw, NUMBERS + 1)
        if log.slots > LARGEST or log.slot >= log.slots or log.moved > log.flushed or
            log.total_moved >= TURN then
            return broken('sliding_window')
        end
        log.ring = ring_key(log.key)
        local length = redis.pcall('STRLEN', log.ring)
        if type(length) == 'table' then
            return length
        elseif length == 0 and log.first < log.moved then
            log.first, log.base, log.oldest = log.moved, log.total_moved, nil
        end
        return nil
    end

    local function is_sane(log)
        return log.flushed <= LARGEST and log.flushed % NEWEST == 0 and log.first < log.next and
            log.base < TURN and log.dropped <= piece_of(math.max(log.first, log.moved))
    end

    -- What a write reads of a log whose first entry is `first` then: it has to be there, for it would
    -- come too late for an error that charges nothing.
    local function foresee(log, first)
        local is_full = log.next - log.flushed == NEWEST
        local is_small = log.next - first <= NEWEST + 1
        if log.flushed > log.moved and
            (is_full and log.flushed % PIECE > 0 or is_small and first < log.flushed) then
            local last = piece_of(log.flushed - 1)
            has_field(log, last, ENTRY * (log.flushed - last * PIECE))
        end
        if not log.failure and is_full and (log.flushed + NEWEST) % PIECE == 0 then
            check_index(log)
        end
    end

    local function read_hash(key)
        local length = call('HSTRLEN', key, 'log')
        if type(length) == 'table' then
            return length
        end
        local header = NUMBERS + ENTRY
        local has_ring = (length - header) % ENTRY ~= 0
        header = header + (has_ring and RING_NUMBERS or 0)
        local count = (length - header) / ENTRY
        if count < 1 or count > NEWEST or count % 1 ~= 0 then
            return broken('sliding_window')
        end
        local raw = call('HGET', key, 'log')
        if type(raw) == 'table' then
            return raw
        end
        local first, flushed, dropped, base = struct.unpack('>I8I8I8I8', raw)
        local log = {key = key, is_large = true, is_hash = true, raw = raw, header = header,
            first = first, oldest = first, flushed = flushed, next = flushed + count, dropped = dropped,
            base = base, moved = 0, pieces = {}, entry = entry, find = find, foresee = foresee}
        local failure = has_ring and read_place_in_ring(log)
        if failure then
            return failure
        elseif not is_sane(log) then
            return broken('sliding_window')
        end
        return log
    end

    -- A ring that has its place still. `raw` is how it begins.
    local function read_ring(key, raw)
        local slots, head, count, base = struct.unpack('>I8I8I8I8', raw)
        local written = (redis.call('STRLEN', key) - RING_HEADER) / RING_ENTRY
        if head >= slots or count > slots or count == 0 or written < math.min(head + count, slots) then
            return broken('sliding_window')
        end
        local log = {key = key, is_large = true, ring = key, first = 0, flushed = count, next = count,
            moved = count, slots = slots, slot = head, base = base % TURN, entry = entry, find = find}
        local _, total = stored_entry(log, count - 1)
        if total > LARGEST or total < base then
            return broken('sliding_window')
        end
        return log
    end

    -- The entries of a small log: `count` of them, from `first` on, with `before` units before them.
    local function small_entries(log, first, count, before)
        local entries = {}
        for i = 1, count do
            local time, total = log.entry(log, first + i - 1)
            entries[i] = struct.pack('>I8I8', time, total - before)
        end
        return table.concat(entries)
    end

    -- Takes all of a log out of the way, in a time that does not depend on its size. UNLINK leaves the
    -- freeing of a large hash to a thread, but not that of a string; a ring that nobody needs is
    -- freed when Redis expires it.
    local function discard(log)
        local done
        if log.is_hash then
            done = call('UNLINK', log.key)
            done = type(done) == 'table' and done or {ok = true}
        else
            done = call('RENAME', log.key, ring_key(log.key))
        end
        if log.ring and not done.err then
            redis.call('PEXPIRE', ring_key(log.key), 1)
        end
        return done
    end

    local function pack_entry(time, total)
        return struct.pack('>I7I4', time, total % TURN)
    end

    local function pack_log(log, oldest, newest)
        local raw = struct.pack('>I8I8I8I8', log.first, log.flushed, log.dropped, log.base)
        if log.moved > 0 then
            raw = raw .. struct.pack('>I8I8I8I8', log.moved, log.slots, log.slot, log.total_moved)
        end
        return raw .. oldest .. newest
    end

    -- Puts back what was under the key, should a user have no right to the command that failed.
    local function set_or_undo(log, words, us_until_new, undo)
        local written = call('HSET', log.key, unpack(words))
        if type(written) == 'table' then
            undo()
            return written
        end
        redis.call('PEXPIRE', log.key, ttl_ms(us_until_new))
        return {ok = true}
    end

    -- A small log gets its 32nd entry.
    local function begin(old, entries, us_until_new)
        local log = {key = old.key, first = 0, flushed = NEWEST, dropped = 0, base = 0, moved = 0}
        local unlinked = call('UNLINK', log.key)
        if type(unlinked) == 'table' then
            return unlinked
        end
        local words = {'log', pack_log(log, entries:sub(1, ENTRY), entries:sub(ENTRY * NEWEST + 1)),
            0, entries:sub(1, ENTRY * NEWEST)}
        return set_or_undo(log, words, us_until_new, function()
            write(log.key, old.raw, us_until_new)
        end)
    end

    -- The `count` entries from `first` on, with `before` units before them, stay in the ring; `new` does
    -- not.
    local function leave_ring(ring, first, before, count, new, us_until_new)
        local moved = math.ceil(count / PIECE) * PIECE
        local oldest = pack_entry(stored_entry(ring, first))
        local _, total = stored_entry(ring, first + count - 1)
        local log = {key = ring.key, first = moved - count, flushed = moved, dropped = piece_of(moved),
            base = (ring.base + before) % TURN, moved = moved, slots = ring.slots,
            slot = (ring.slot + first - (moved - count)) % ring.slots, total_moved = total % TURN}
        local renamed = call('RENAME', log.key, ring_key(log.key))
        if renamed.err then
            return renamed
        end
        -- It ends later than the hash, so that no check is the one that meets its end and has to free it.
        redis.call('PEXPIRE', ring_key(log.key), ttl_ms(us_until_new, MINUTE_MS))
        return set_or_undo(log, {'log', pack_log(log, oldest, new)}, us_until_new, function()
            redis.call('RENAME', ring_key(log.key), log.key)
        end)
    end

    -- Moves the oldest 31 of `newest` into the last numbered field; returns what is left of them.
    local function flush(log, newest, words)
        local number = piece_of(log.flushed)
        local piece = newest:sub(1, ENTRY * NEWEST)
        if log.flushed % PIECE > 0 then
            piece = read_piece(log, number) .. piece
        end
        local skipped = first_indexed(log)
        words[3], words[4] = number, piece
        if #piece == ENTRY * PIECE then
            local index = read_index(log)
            skipped = math.max(skipped - log.index_from, 0)
            words[5], words[6] = 'index', index:sub(ENTRY * skipped + 1) .. piece:sub(-ENTRY)
        end
        log.flushed = log.flushed + NEWEST
        return newest:sub(ENTRY * NEWEST + 1)
    end

    -- The hash gets an entry behind the `kept` ones: at the end, or in place of the last one.
    local function append(log, kept, oldest, new, us_until_new)
        local words = {'log'}
        local last = log.header + ENTRY * (log.first + kept - log.flushed)
        local newest = log.raw:sub(log.header + 1, last) .. new
        if #newest > ENTRY * NEWEST then
            newest = flush(log, newest, words)
        end
        local is_ring_over = log.moved > 0 and log.first >= log.moved
        if is_ring_over then
            log.moved = 0
        end
        local over = log.dropped < piece_of(log.first) and log.dropped
        log.dropped = log.dropped + (over and 1 or 0)
        words[2] = pack_log(log, oldest, newest)
        local written = call('HSET', log.key, unpack(words))
        if type(written) == 'table' then
            return written
        end
        redis.call('PEXPIRE', log.key, ttl_ms(us_until_new))
        if over then
            written = call('HDEL', log.key, over)
        end
        if is_ring_over then
            redis.call('PEXPIRE', log.ring, 1)
        elseif log.moved > 0 then
            redis.call('PEXPIRE', log.ring, ttl_ms(us_until_new, MINUTE_MS))
        end
        return type(written) == 'table' and written or {ok = true}
    end

    -- Entries before `first` have left the window. `before` says how many units since log.base they
    -- had; some of the units of `first` itself may be among them. The fields of the hash that hold
    -- only entries that have left are deleted by later writes.
    local function move_first(log, first, before, us_until_new)
        local time, total = nil, nil
        if not log.failure then
            time, total = stored_entry(log, first)
        end
        if log.failure then
            return log.failure
        end
        local oldest = pack_entry(time, total)
        log.first = first
        log.base = (log.base + before) % TURN
        local raw = pack_log(log, oldest, log.raw:sub(log.header + 1))
        return set_or_undo(log, {'log', raw}, us_until_new, function() end)
    end

    -- Writes an entry to a log that has more than 31 with it. `kept` entries from `first` on stay, with
    -- `before` units before them since log.base; `units` are those from there up to and with the entry.
    local function add(log, first, before, kept, time, units, us_until_new)
        if log.is_hash then
            local oldest = pack_entry(stored_entry(log, first))
            log.first, log.base = first, (log.base + before) % TURN
            return append(log, kept, oldest, pack_entry(time, log.base + units), us_until_new)
        elseif log.ring then
            local new = pack_entry(time, log.base + before + units)
            return leave_ring(log, first, before, kept, new, us_until_new)
        end
        local entries = {}
        for i = 1, kept do
            local made, total = log.entry(log, first + i - 1)
            entries[i] = pack_entry(made, total)
        end
        return begin(log, table.concat(entries) .. pack_entry(time, units), us_until_new)
    end

    return {read_hash = read_hash, read_ring = read_ring, small_entries = small_entries,
        discard = discard, add = add, move_first = move_first}
end
