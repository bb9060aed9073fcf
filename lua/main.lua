-- Units are given back: each check is on its own.
if is_back then
    local reply, arg = {now}, 2
    for key = 1, #KEYS do
        local taken, name, units = tonumber(ARGV[arg + 1]), ARGV[arg + 2], tonumber(ARGV[arg + 3])
        local limit, tokens_or_window, us = tonumber(ARGV[arg + 4]), tonumber(ARGV[arg + 5]), nil
        local algorithm = algorithms[name]()
        arg = arg + 5
        if algorithm.is_by_rate then
            arg = arg + 1
            us = tonumber(ARGV[arg])
        end
        local done = algorithm.look(KEYS[key], 0, limit, tokens_or_window, us)
        if not done.err and units > 0 then
            local life = redis.pcall('PTTL', KEYS[key])
            life_ms = type(life) == 'number' and life or 0
            if algorithm.give_back then
                done = algorithm.give_back(KEYS[key], done, units, taken, limit, tokens_or_window)
            elseif algorithm.restore(done, units, taken, limit, tokens_or_window, us) then
                done = algorithm.take(KEYS[key], done, 0, limit, tokens_or_window, us)
            end
        end
        reply[key + 1] = done.err and done or 1
    end
    return reply
end

-- A loop and not functions of its own: what would be made anew by every call is a tenth of its cost.
local reply, length = {now}, 1
local arg, key = 1, 0 -- the last that was read
local made = {} -- algorithms, once a call

while arg < #ARGV do
    local checks = {}
    local count, shadow = tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
    local is_allowed, failure = count >= 0 and ARGV[arg + 1] ~= '-0', nil
    local is_look = shadow < 0
    count = math.abs(count)
    shadow = is_look and -shadow - 1 or shadow

    -- All looks of what is charged together come before its first write.
    arg = arg + 2
    for i = 1, count + shadow do
        local name, cost, limit = ARGV[arg + 1], tonumber(ARGV[arg + 2]), tonumber(ARGV[arg + 3])
        local tokens_or_window, us = tonumber(ARGV[arg + 4]), nil
        local algorithm, wanted, back, taken = made[name], nil, nil, nil
        if name == 'lease' then
            wanted, back, taken = cost, limit, tokens_or_window
            arg = arg + 4
            name, cost, limit = ARGV[arg + 1], tonumber(ARGV[arg + 2]), tonumber(ARGV[arg + 3])
            tokens_or_window = tonumber(ARGV[arg + 4])
            algorithm = made[name]
        end
        if not algorithm then
            algorithm = algorithms[name]()
            made[name] = algorithm
        end
        arg, key = arg + 4, key + 1
        if algorithm.is_by_rate then
            arg = arg + 1
            us = tonumber(ARGV[arg])
        end
        local is_reset, settled = cost == -1, -1 - cost
        cost = math.max(cost, 0)
        local state
        if i <= count then
            state = algorithm.look(KEYS[key], cost, limit, tokens_or_window, us)
            if back and back > 0 and not state.err then
                state.is_mended = algorithm.restore(state, back, taken, limit, tokens_or_window, us) or
                    state.is_mended
            end
            failure = state.err and state or failure
            is_allowed = is_allowed and not failure and cost <= state.remaining
        end
        checks[i] = {key = KEYS[key], algorithm = algorithm, cost = cost, limit = limit,
            tokens_or_window = tokens_or_window, us = us, state = state, is_reset = is_reset, settled = settled,
            wanted = wanted}
    end

    for i = 1, failure and 0 or #checks do
        local check = checks[i]
        local algorithm = check.algorithm
        -- In shadow: looked at now, since what was charged may be of the same balance.
        local state = check.state or
            algorithm.look(check.key, check.cost, check.limit, check.tokens_or_window, check.us)
        check.state = state
        local passes = is_allowed and (i <= count or not state.err and check.cost <= state.remaining)
        local units = passes and check.cost or 0
        if passes and check.settled > 0 then
            units = math.min(check.settled, state.remaining)
        elseif passes and check.wanted then
            units = math.max(units, math.min(check.wanted, state.remaining))
        end
        if check.is_reset then
            local gone = redis.pcall('UNLINK', check.key)
            if type(gone) == 'table' then
                failure = gone
                break
            end
        elseif not is_look and (units > 0 or state.is_mended) then
            -- Without the right to PTTL the life is not known; the agent says so when it connects.
            local life = redis.pcall('PTTL', check.key)
            life_ms = type(life) == 'number' and life or 0
            local written = algorithm.take(check.key, state, units, check.limit,
                check.tokens_or_window, check.us)
            if written.err and i <= count then
                failure = written
                break
            elseif written.err then
                check.state = written
            end
        end
    end

    length = length + 1
    reply[length] = failure or (is_allowed and 1 or 0)
    for i = 1, failure and 0 or #checks do
        local state = checks[i].state
        if state.err then
            length = length + 1
            reply[length] = state
        end
        for field = 1, #state do
            length = length + 1
            reply[length] = state[field]
        end
    end
end
return reply
