-- A log of what was taken: entries (time, total), oldest first. `total` is the sum of all that was ever
-- taken, up to and with the entry, so that the units between two entries are one subtraction. Entries
-- that have left the window are dropped at the next write.
--
--     up to 31 entries    base { time total }
--     more, as a ring     slots head count base { slots of time total }
--
-- `base` is the total before the first entry. A small log is shorter than 512 bytes, a ring is longer;
-- of a ring only what is needed is read, so that a check of a million entries takes microseconds. One
-- that is full gets twice the slots, and one of which three quarters have left is written anew.
algorithms.sliding_window = function()
    local SMALL_ENTRIES = 31
    local PEEK = 512
    local RING_HEADER = 32

    local function read_slots(log, first, last)
        return redis.call('GETRANGE', log.key, RING_HEADER + 16 * first, RING_HEADER + 16 * last + 15)
    end

    -- The time and total of an entry; the first is 1.
    local function entry(log, index)
        if log.raw then
            return struct.unpack('>I8I8', log.raw, 16 * index - 7)
        end
        local slot = (log.head + index - 1) % log.slots
        return struct.unpack('>I8I8', read_slots(log, slot, slot))
    end

    local function total_before(log, index)
        if index == 1 then
            return log.base
        end
        local _, total = entry(log, index - 1)
        return total
    end

    -- The log under a key; an error when it is none, nil when there is nothing.
    local function read_log(key)
        local raw = redis.pcall('GETRANGE', key, 0, PEEK - 1)
        if type(raw) == 'table' then
            return raw
        elseif raw == '' then
            return nil
        elseif #raw < PEEK then
            if #raw % 16 ~= 8 or #raw == 8 then
                return broken('sliding_window')
            end
            return {key = key, raw = raw, count = (#raw - 8) / 16, base = struct.unpack('>I8', raw)}
        end
        local slots, head, count, base = struct.unpack('>I8I8I8I8', raw)
        local written = (redis.call('STRLEN', key) - RING_HEADER) / 16
        if head >= slots or count > slots or count == 0 or written < math.min(head + count, slots) then
            return broken('sliding_window')
        end
        return {key = key, slots = slots, head = head, count = count, base = base}
    end

    -- The first entry from `low` on for which `field` of (time, total) is at least `value`; count + 1
    -- when none is. Looks near `low` first, where it mostly is.
    local function find(log, low, field, value)
        local high, step = low, 1
        while high <= log.count and select(field, entry(log, high)) < value do
            low, high, step = high + 1, high + step, 2 * step
        end
        high = math.min(high, log.count + 1)
        while low < high do
            local middle = math.floor((low + high) / 2)
            if select(field, entry(log, middle)) < value then
                low = middle + 1
            else
                high = middle
            end
        end
        return low
    end

    -- When the entry was made with which so many of the units that count have left.
    local function time_left(log, first, before, units)
        return (entry(log, find(log, first, 2, before + units)))
    end

    -- Entries in order, of which none has left: somebody else may have written them.
    local function is_sane(window, state)
        local _, last, newest, grows, passes = unpack(state)
        return last <= LARGEST and grows <= newest and passes <= newest and
            grows > last - window and passes > last - window
    end

    -- The entries from `first` on, as they stand in the string.
    local function live_entries(log, first)
        if log.raw then
            return log.raw:sub(16 * first - 7)
        end
        local from, to = log.head + first - 1, log.head + log.count - 1
        if to < log.slots then
            return read_slots(log, from, to)
        elseif from >= log.slots then
            return read_slots(log, from - log.slots, to - log.slots)
        end
        return read_slots(log, from, log.slots - 1) .. read_slots(log, 0, to - log.slots)
    end

    -- Twice the slots. What stands before the head came last: it moves behind what came before it.
    local function grow_ring(log)
        local moved = log.head > 0 and redis.pcall('SETRANGE', log.key, RING_HEADER + 16 * log.slots,
            read_slots(log, 0, log.head - 1))
        log.slots = 2 * log.slots
        return moved
    end

    -- Writes an entry to the ring, at the end or in place of the last one.
    local function write_to_ring(log, first, new, is_merged, us_until_new)
        local base = total_before(log, first)
        local written
        if log.count == log.slots and first == 1 and not is_merged then
            written = grow_ring(log)
        end
        if type(written) == 'table' then
            return written
        end
        local head = (log.head + first - 1) % log.slots
        local count = log.count - first + (is_merged and 1 or 2)
        written = redis.pcall('SETRANGE', log.key,
            RING_HEADER + 16 * ((head + count - 1) % log.slots), new)
        if type(written) == 'table' then
            return written
        end
        redis.call('SETRANGE', log.key, 0, struct.pack('>I8I8I8I8', log.slots, head, count, base))
        return {ok = redis.call('PEXPIRE', log.key, ttl_ms(us_until_new))}
    end

    local function look(key, cost, limit, window)
        local log = read_log(key)
        if not log then
            return {0, now, 0, 0, 0, remaining = limit}
        elseif log.err then
            return log
        end
        local newest, total = entry(log, log.count)
        local time, is_mended = time_of(newest, window)
        local counted = is_mended and newest or time
        local first = find(log, 1, 1, counted - window + 1)
        if first > log.count then
            return {0, time, 0, 0, 0, remaining = limit, log = log, first = first}
        end
        local before = total_before(log, first)
        local used = total - before
        if used < 1 or total > LARGEST then -- and so a search below might find no entry
            return broken('sliding_window')
        end
        local remaining = math.max(limit - used, 0)

        -- One unit has to leave for `remaining` to grow; with 9 of a limit that was lowered to 5, five.
        local grows = time_left(log, first, before, used + remaining + 1 - limit)
        local passes = newest
        if cost > remaining and cost <= limit then
            passes = time_left(log, first, before, used - (limit - cost))
        end
        local state = {used, time, newest, grows, passes, remaining = remaining, log = log,
            first = first, is_mended = is_mended}
        if is_mended then
            state[3], state[4], state[5] = now, now, now
        end
        return is_sane(window, state) and state or broken('sliding_window')
    end

    local function take(key, state, units, _, window)
        local used, time, newest = unpack(state)
        local log, first = state.log, state.first
        local us_until_new = time + window - now
        if not log or state.is_mended then
            return write(key, struct.pack('>I8I8I8', 0, time, used + units), us_until_new)
        end
        local is_merged = newest == time
        local count = log.count - first + (is_merged and 1 or 2)
        local base = total_before(log, first)
        local new = struct.pack('>I8I8', time, base + used + units)
        if log.slots and count > SMALL_ENTRIES and 4 * count > log.slots then
            return write_to_ring(log, first, new, is_merged, us_until_new)
        end
        local kept = live_entries(log, first)
        if is_merged then
            kept = kept:sub(1, -17)
        end
        if count <= SMALL_ENTRIES then
            return write(key, struct.pack('>I8', base) .. kept .. new, us_until_new)
        end
        return write(key, struct.pack('>I8I8I8I8', 2 * count, 0, count, base) .. kept .. new, us_until_new)
    end

    return {look = look, take = take}
end
