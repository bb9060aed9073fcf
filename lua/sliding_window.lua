-- A log of what was taken: entries (time, total), oldest first. `total` is the sum of all that was ever
-- taken, up to and with the entry, so that the units between two entries are one subtraction. Entries
-- that have left the window are dropped at the next write.
--
--     up to 31 entries    a string: base { time total }, 8 bytes each
--     more                a hash, see sliding_window_pieces.lua
--
-- `base` is the total before the first entry. Of 3 units at 12:00:00 and 2 at 12:00:05, when 7 were taken
-- before, the string has 7, 12:00:00, 10, 12:00:05, 12. Most logs are small, and a string is what
-- Redis reads and writes fastest; a string that has 512 bytes or more is a large log as an earlier
-- version wrote it.
algorithms.sliding_window = function()
    local SMALL_ENTRIES = 31
    local PEEK = 512

    -- Of a small log: the time of an entry, and the units since log.base up to and with it. The first
    -- is 0.
    local function entry(log, position)
        local time, total = struct.unpack('>I8I8', log.raw, 16 * position + 9)
        return time, total - log.base
    end

    -- The first entry from `low` to before `stop` for which `field` of (time, units) is at least
    -- `value`; `stop` when none is. Looks near `low` first, where it mostly is.
    local function search(log, low, stop, field, value)
        local high, step = low, 1
        while high < stop and select(field, log.entry(log, high)) < value do
            low, high, step = high + 1, high + step, 2 * step
        end
        high = math.min(high, stop)
        while low < high do
            local middle = math.floor((low + high) / 2)
            if select(field, log.entry(log, middle)) < value then
                low = middle + 1
            else
                high = middle
            end
        end
        return low
    end

    local function find(log, low, field, value)
        return search(log, low, log.next, field, value)
    end

    local large -- the functions of large logs, made when the first is met

    local function large_log(name, ...)
        large = large or algorithms.sliding_window_pieces(search)
        return large[name](...)
    end

    -- The log under a key; an error when it is none, nil when there is nothing. The type is asked for
    -- first where a hash may be: Redis counts a read of the wrong type as an error.
    local function read_log(key, limit)
        local kind = limit > SMALL_ENTRIES and redis.pcall('TYPE', key).ok
        if kind == 'none' then
            return nil
        elseif kind == 'hash' then
            return large_log('read_hash', key)
        end
        local raw = redis.pcall('GETRANGE', key, 0, PEEK - 1)
        if type(raw) == 'table' then
            -- A limit that was lowered, or a user without the right to TYPE.
            return raw.err:find('^WRONGTYPE') and large_log('read_hash', key) or raw
        elseif raw == '' then
            return nil
        elseif #raw >= PEEK then
            return large_log('read_ring', key, raw)
        elseif #raw % 16 ~= 8 or #raw == 8 then
            return broken('sliding_window')
        end
        local count = (#raw - 8) / 16
        local total = struct.unpack('>I8', raw, #raw - 7)
        if total > LARGEST then
            return broken('sliding_window')
        end
        return {key = key, raw = raw, first = 0, next = count, base = struct.unpack('>I8', raw),
            entry = entry, find = find}
    end

    -- When the entry was made with which so many units since log.base are reached.
    local function time_reached(log, first, units)
        return (log.entry(log, log.find(log, first, 2, units)))
    end

    -- Entries in order, of which none has left: somebody else may have written them.
    local function is_sane(window, state)
        local _, last, newest, grows, passes = unpack(state)
        return last <= LARGEST and grows <= newest and passes <= newest and
            grows > last - window and passes > last - window
    end

    local function look(key, cost, limit, window)
        local log = read_log(key, limit)
        if not log then
            return {0, now, 0, 0, 0, remaining = limit}
        elseif log.err then
            return log
        end
        local newest, total = log.entry(log, log.next - 1)
        local time, is_mended = time_of(newest, window)
        local counted = is_mended and newest or time
        local first = log.find(log, log.first, 1, counted - window + 1)
        if first >= log.next then
            return log.failure or {0, time, 0, 0, 0, remaining = limit, log = log, first = first,
                before = 0}
        end
        local before = 0
        if first > log.first then
            before = select(2, log.entry(log, first - 1))
        end
        local used = total - before
        if used < 1 then -- and so a search below might find no entry
            return log.failure or broken('sliding_window')
        end
        local remaining = math.max(limit - used, 0)

        -- One unit has to leave for `remaining` to grow; with 9 of a limit that was lowered to 5, five.
        local grows = time_reached(log, first, before + used + remaining + 1 - limit)
        local passes = newest
        if cost > remaining and cost <= limit then
            passes = time_reached(log, first, before + used - (limit - cost))
        end
        local state = {used, time, newest, grows, passes, remaining = remaining, log = log,
            first = first, before = before, is_mended = is_mended}
        if is_mended then
            state[3], state[4], state[5] = now, now, now
        end
        if log.foresee then
            log.foresee(log, first)
        end
        return log.failure or (is_sane(window, state) and state or broken('sliding_window'))
    end

    local function take(key, state, units, _, window)
        local used, time, newest = unpack(state)
        local log, first, before = state.log, state.first, state.before
        local us_until_new = time + window - now
        local is_merged = newest == time
        local kept = 0
        if log and not state.is_mended then
            kept = log.next - first - (is_merged and 1 or 0)
        end
        if kept >= SMALL_ENTRIES then
            return large_log('add', log, first, before, kept, time, used + units, us_until_new)
        end
        local base, entries = 0, ''
        if log and log.is_large then
            entries = large.small_entries(log, first, kept, before)
            local discarded = large.discard(log)
            if discarded.err then
                return discarded
            end
        elseif kept > 0 then
            base = log.base + before
            entries = log.raw:sub(16 * first + 9, 16 * (first + kept) + 8)
        end
        return write(key, struct.pack('>I8', base) .. entries ..
            struct.pack('>I8I8', time, base + used + units), us_until_new)
    end

    -- The oldest units leave the log in place of those that were taken then, since the log has no room
    -- for a hole. So the others count no shorter than they should.
    local function give_back(key, state, units, taken, limit, window)
        local used, time, newest = unpack(state)
        local log = state.log
        if used == 0 or taken <= time - window or log.is_large and not log.is_hash then
            return DONE
        end
        local left = math.max(used - units, 0)
        if left == 0 then
            local unlinked = redis.pcall('UNLINK', key)
            return type(unlinked) == 'table' and unlinked or DONE
        end
        if state.is_mended then
            state[1] = left
            return take(key, state, 0, limit, window)
        end
        local before = state.before + used - left
        local first = log.find(log, state.first, 2, before + 1)
        local us_until_new = newest + window - now
        if log.is_hash then
            return large_log('move_first', log, first, before, us_until_new)
        end
        return write(key, struct.pack('>I8', log.base + before) .. log.raw:sub(16 * first + 9),
            us_until_new)
    end

    return {look = look, take = take, give_back = give_back}
end
