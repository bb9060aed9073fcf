-- 1/3 token a second is 1 token every 3000000 us: a microsecond adds 1 to the level, and 3000000 of
-- it are a token.
algorithms.token_bucket = function()
    -- part * factor / unit, rounded down, for a part below the unit. A product that has more bits than
    -- a number holds is computed bit by bit of the factor, the highest first.
    local function scale_part(part, factor, unit)
        if part * factor < LARGEST then
            return math.floor(part * factor / unit)
        end
        local quotient, rest, bit = 0, 0, LARGEST
        while bit >= 1 do
            quotient, rest = 2 * quotient, 2 * rest
            if rest >= unit then
                quotient, rest = quotient + 1, rest - unit
            end
            if factor >= bit then
                factor, rest = factor - bit, rest + part
            end
            if rest >= unit then
                quotient, rest = quotient + 1, rest - unit
            end
            bit = bit / 2
        end
        return quotient
    end

    local function look(key, _, capacity, tokens, us)
        local raw = redis.pcall('GET', key)
        local full = capacity * us
        if not raw then
            return {full, now, remaining = capacity}
        elseif type(raw) == 'table' then
            return raw
        elseif #raw ~= 24 then
            return broken('token_bucket')
        end
        local level, unit, last = struct.unpack('>I8I8I8', raw)
        if level > LARGEST or unit > LARGEST or unit == 0 or last > LARGEST then
            return broken('token_bucket')
        end

        -- With another rate than when it was written, the level stays, rounded down.
        local whole = math.floor(level / unit)
        if whole >= capacity then
            level = full
        elseif unit ~= us then
            level = whole * us + scale_part(level % unit, us, unit)
        end
        local time, is_mended = time_of(last, math.ceil(full / tokens))
        local elapsed = is_mended and 0 or time - last
        if elapsed >= math.ceil((full - level) / tokens) then
            level = full
        else
            level = level + elapsed * tokens
        end
        return {level, time, remaining = math.floor(level / us), is_mended = is_mended}
    end

    local function take(key, state, units, capacity, tokens, us)
        local level, last = state[1] - units * us, state[2]
        return write(key, struct.pack('>I8I8I8', level, us, last),
            last - now + math.ceil((capacity * us - level) / tokens))
    end

    -- What the bucket has refilled since then may have been for these units, so only the rest of them
    -- comes back.
    local function restore(state, units, taken, capacity, tokens, us)
        local missing, elapsed = units * us, math.max(state[2] - taken, 0)
        if elapsed >= math.ceil(missing / tokens) then
            return false
        end
        local level = math.min(state[1] + missing - elapsed * tokens, capacity * us)
        if level == state[1] then
            return false
        end
        state[1], state.remaining = level, math.floor(level / us)
        return true
    end

    return {look = look, take = take, restore = restore, is_by_rate = true}
end
