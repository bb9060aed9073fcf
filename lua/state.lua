local LARGEST = 2 ^ 53
local HOUR_MS = 3600000

local is_server_time = ARGV[1] == 'now'
local now
if is_server_time then
    local time = redis.call('TIME')
    now = time[1] * 1000000 + time[2]
else
    now = tonumber(ARGV[1])
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

-- The TTL of a balance that is as good as new in so many microseconds. Redis counts it from the begin
-- of the millisecond.
local function ttl_ms(us)
    local ms = math.ceil(us / 1000) + 1
    return string.format('%d', is_server_time and ms or math.max(ms, HOUR_MS))
end

local function write(key, value, us_until_new)
    return redis.pcall('SET', key, value, 'PX', ttl_ms(us_until_new))
end

-- By name, a function that returns an algorithm: `look`, `take`, and `is_by_rate` if a check has two
-- numbers, tokens and us, where others have a window. `look` returns the numbers that the reply has of a
-- state, with `remaining`, and with `is_mended` if the state must be written even when nothing is taken;
-- or it returns an error. `take` takes units from what `look` returned and writes the rest. An algorithm
-- is made when a call has a check of it, since Redis makes every function of a script anew in each call.
local algorithms = {}
