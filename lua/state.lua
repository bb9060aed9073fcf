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

-- The time that a balance counts by. This is now; or the balance's own time, `last`, if the clock has
-- stepped back since it was written. A wrong clock may have written a time far in the future: if `last`
-- is ahead by more than the balance takes from empty to full, it is not believed, and the balance is
-- mended: it counts by now, and is written with that time.
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

-- A write never shortens the life of its key. In a rollout, agents with a capacity of 10 and agents with
-- a capacity of 10,000 may write the same bucket. By the terms of the first, an empty bucket is full
-- after a second. If their write let the key expire then, the others would find no key, and so a full
-- bucket of 10,000.
local life_ms -- what the key had left to live before the write

-- The TTL of a balance that will be as good as new in `us` microseconds. A millisecond is added, since
-- Redis counts the TTL from the begin of the current one. `longer_ms`, or nil, is for a key that belongs
-- to a balance and has to outlive it.
local function ttl_ms(us, longer_ms)
    local ms = math.max(math.ceil(us / 1000) + 1, life_ms, is_server_time and 0 or HOUR_MS)
    return string.format('%d', ms + (longer_ms or 0))
end

local function write(key, value, us_until_new)
    return redis.pcall('SET', key, value, 'PX', ttl_ms(us_until_new))
end

-- What a function returns that had nothing to write: like the reply of a command that went well.
local DONE = {ok = true}

-- The algorithms, by name. Each entry is a function that makes the algorithm, and is called when the first
-- check of that algorithm comes: Redis makes every function of a script anew in each call, and most calls
-- have checks of one algorithm. An algorithm is a table of:
--
--     is_by_rate  whether its checks have two numbers, tokens and us, where others have a window
--     look        reads the state and brings it up to now. Returns the numbers that the reply has of the
--                 state, as a list; with `remaining`, the units that are left; and with `is_mended`, if
--                 the state must be written even when nothing is taken. Or returns an error
--     take        takes units from the state that `look` returned, and writes it
--     restore     puts back into that state the units that were taken at the time `taken`, as far as they
--                 still count for certain. Returns whether the state has changed; then `take` of 0 units
--                 writes it
--     give_back   of a log, in place of `restore`: does the same, and writes the state
local algorithms = {}
