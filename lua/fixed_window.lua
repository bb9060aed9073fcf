-- Windows are aligned to the epoch.
algorithms.fixed_window = function()
    local function look(key, _, limit, window)
        local raw = redis.pcall('GET', key)
        if not raw then
            return {0, now, remaining = limit}
        elseif type(raw) == 'table' then
            return raw
        elseif #raw ~= 16 then
            return broken('fixed_window')
        end
        local used, last = struct.unpack('>I8I8', raw)
        if used > LARGEST / 2 or last > LARGEST then
            return broken('fixed_window')
        end

        local time, is_mended = time_of(last, window)
        if not is_mended and time - time % window ~= last - last % window then
            used = 0
        end
        -- More than the limit is used when the limit was lowered.
        return {used, time, remaining = math.max(limit - used, 0), is_mended = is_mended}
    end

    local function take(key, state, units, _, window)
        local used, last = state[1] + units, state[2]
        return write(key, struct.pack('>I8I8', used, last), last - last % window + window - now)
    end

    local function restore(state, units, taken, limit, window)
        local used, last = state[1], state[2]
        if used == 0 or taken < last - last % window then
            return false
        end
        state[1] = math.max(used - units, 0)
        state.remaining = math.max(limit - state[1], 0)
        return true
    end

    return {look = look, take = take, restore = restore}
end
