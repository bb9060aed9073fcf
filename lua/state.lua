local LARGEST = 2 ^ 53
local HOUR_MS = 3600000

local is_back = ARGV[1] == 'back'
local time_given = ARGV[is_back and 2 or 1]
local is_server_time = time_given == 'now'
local now
if is_server_time then
    local time = redis.call('TIME')
    now = time[1] * 1000000 + time[2]
elseif ARGV[1] == 'agents' then
    local count, first_free, own = 0, nil, nil
    for seat = 1, #KEYS do
        local holder = redis.pcall('GET', KEYS[seat])
        if type(holder) == 'table' then
            return holder
        elseif holder == ARGV[2] then
            own = own or seat
        elseif holder then
            count = count + 1
        else
            first_free = first_free or seat
        end
    end
    local seat = math.min(own or math.huge, first_free or math.huge)
    if seat <= #KEYS then
        count = count + 1
        local written = redis.pcall('SET', KEYS[seat], ARGV[2], 'PX', ARGV[3])
        if own and own ~= seat then
            redis.pcall('SET', KEYS[own], ARGV[2], 'PX', 1)
        end
        if written.err then
            return written
        end
    end
    return count
else
    now = tonumber(time_given)
end

-- The time that a balance counts by: now, or its own when the clock stepped back. One that lies
-- further ahead than from empty to full is not believed: that balance is brought back to now.
local function time_of(last, full_us)
    local is_mended = last - now > full_us
    if last > now and not is_mended then
        return last, false
    end
    return now, is_mended
end

local function broken(algorithm)
    return {err = 'BROKENSTATE the value is not what a ' .. algorithm .. ' writes'}
end

-- A write never shortens the life of its key: an agent with other terms may have written the key, and by
-- those the balance takes longer to be full. An old agent that lets a drained bucket of 10 end after
-- a second would give a new one, whose bucket has 10,000, all of them at once.
local life_ms -- of the key that is written, before the write

-- The TTL of a balance that is as good as new in so many microseconds. Redis counts it from the begin
-- of the millisecond. What belongs to the balance may live for so much longer.
local function ttl_ms(us, longer_ms)
    local ms = math.max(math.ceil(us / 1000) + 1, life_ms, is_server_time and 0 or HOUR_MS)
    return string.format('%d', ms + (longer_ms or 0))
end

local function write(key, value, us_until_new)
    return redis.pcall('SET', key, value, 'PX', ttl_ms(us_until_new))
end

-- Of a balance that gets back nothing, or the reply of a command that went well.
local DONE = {ok = true}

-- By name, a function that returns an algorithm: `look`, `take`, `restore`, and `is_by_rate` if a check
-- has two numbers, tokens and us, where others have a window. `look` returns the numbers that the reply has of a
-- state, with `remaining`, and with `is_mended` if the state must be written even when nothing is taken;
-- or it returns an error. `take` takes units from what `look` returned and writes the rest. `restore`
-- undoes in that state a take at the time `taken`, as far as its units certainly count still, and returns
-- whether the state has changed and must be written; a log has `give_back`, which writes it. An algorithm
-- is made when a call has a check of it, since Redis makes every function of a script anew in each call.
local algorithms = {}
