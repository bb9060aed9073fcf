-- Of what was used in the window before, the share of this window that is still to come counts. It is
-- kept in ticks, W a window and e of them gone:
--
--     previous * (W - e) + (current + units) * W <= limit * W
--
-- When the limit was lowered, both counts may be above it, and all of them counts still.
algorithms.sliding_window_counter = function()
    local function look(key, _, limit, window)
        local raw = redis.pcall('GET', key)
        if not raw then
            return {0, 0, now, remaining = limit}
        elseif type(raw) == 'table' then
            return raw
        elseif #raw ~= 24 then
            return broken('sliding_window_counter')
        end
        local previous, current, last = struct.unpack('>I8I8I8', raw)
        local tick = math.ceil(window / 1000000)
        local ticks = math.ceil(window / tick)
        local largest = LARGEST / 2 / ticks -- limit of such a window
        if previous > largest or current > largest or last > LARGEST then
            return broken('sliding_window_counter')
        end

        local time, is_mended = time_of(last, 2 * window)
        local passed = time - (last - last % window)
        if not is_mended and passed >= window then
            previous = passed < 2 * window and current or 0
            current = 0
        end

        local gone = math.floor(time % window / tick)
        local used = current + math.ceil(previous * (ticks - gone) / ticks)
        return {previous, current, time, remaining = math.max(limit - used, 0),
            is_mended = is_mended, to_come = ticks - gone, ticks = ticks}
    end

    -- What is used in this window has left with the end of the next one.
    local function take(key, state, units, _, window)
        local previous, current, last = state[1], state[2] + units, state[3]
        return write(key, struct.pack('>I8I8I8', previous, current, last),
            last - last % window + 2 * window - now)
    end

    local function restore(state, units, taken, limit, window)
        local begin = state[3] - state[3] % window
        local place = taken >= begin and 2 or 1
        if state[place] == 0 or taken < begin - window then
            return false
        end
        state[place] = math.max(state[place] - units, 0)
        local used = state[2] + math.ceil(state[1] * state.to_come / state.ticks)
        state.remaining = math.max(limit - used, 0)
        return true
    end

    return {look = look, take = take, restore = restore}
end
