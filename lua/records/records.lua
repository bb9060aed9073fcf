--[[
ratelimit-spoa: records by which an operator changes what agents do (exceptions, resets of balances).

    EVALSHA <sha> 5 <version> <values> <changes> <ends> <gone> <command> ...

    version  a string: run, counter, cut, count, sum, live (see below)
    values   a hash, by the record's id: "<changed> <until> <kind> <value>"
    changes  a sorted set of ids, by the counter at their last change
    ends     a sorted set of those ids that are in force and end, by when that is
    gone     a sorted set of those ids that are not in force, by when they may be forgotten

    run      16 digits: a random name of all of this, which another agent gives when there is no version
    counter  how many changes there were; each change makes it one more
    cut      the counter of the newest change that was forgotten: who knows less reads everything
    count    how many records there are, of all kinds
    sum      of the times at which they changed, modulo 2^31 each: who has the same count and sum has
             the same records
    live     how many of them are in force (kind 0)

    kind     0 in force until <until>, or for ever if that is 0; 1 removed, or ended; 2 an event, such as
             a reset, which nobody can remove
    changed  milliseconds since 1970 by this server's clock, and later than the last change of the id
    until    the same clock

Kinds 1 and 2 are kept for <kept ms>, and at most <dead max> of them. Each put forgets some, so nobody has to
come for that.

    read <run> <counter> <is_full> <entries> <bytes> <is_first>
        The changes after <counter>, if <run> is the version's and nothing after <counter> was forgotten, or
        if <is_full> is 1. At most so many, and no further one when the bytes are reached. With <is_first> 1,
        and as long as there is no version, it tries what the user may call.
        -> head, the counter up to which this reply is whole, then of each: id, counter, value
    put <new run> <id> <until> <kind> <value> <changed> <live max> <dead max> <kept ms> <is new>
        <changed> is the time of the last change that the agent knows of the id, or 0.
        -> head, <changed>; 0 when there are <live max> records already, and nothing was written; 1 when
           <is new> is 1 and a record of the id is in force, and nothing was written
    merge <run> <counter> <new run> <kept ms> { <id> <changed> <until> <kind> <value> }
        Writes those that are missing here, or are later than what is here, if run and counter still are those
        of the version; "" and 0: there is none. Then the run is <new run>.
        -> head, 1 or 0: whether run and counter were those

    head     time in microseconds, run, counter, cut, count, sum

When keys are missing that the version tells of, the server has forgotten them, and what is left is worth
nothing: then there is no version, and the next put or merge begins anew.
--]]
local DUE_AT_ONCE = 20
local SUM_OF = 2 ^ 31

local version_key, values, changes, ends, gone = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local command = ARGV[1]
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)

local function text(number)
    return string.format('%.0f', number)
end

local function read_version()
    local run, counter, cut, count, sum, live = string.match(redis.call('GET', version_key) or '',
        '^(%x+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
    count = tonumber(count)
    if not run or redis.call('HLEN', values) ~= count or redis.call('ZCARD', changes) ~= count then
        return {run = '', counter = 0, cut = 0, count = 0, sum = 0, live = 0}
    end
    return {run = run, counter = tonumber(counter), cut = tonumber(cut), count = count,
        sum = tonumber(sum), live = tonumber(live)}
end

local version = read_version()

local function head()
    return {now_us, version.run, version.counter, version.cut, version.count, version.sum}
end

local function write_version()
    redis.call('SET', version_key, table.concat({version.run, text(version.counter), text(version.cut),
        text(version.count), text(version.sum), text(version.live)}, ' '))
end

-- Nil when there is none, or it is not one of ours.
local function find(id)
    local packed = redis.call('HGET', values, id)
    if not packed then
        return nil
    end
    local changed, till, kind, value = string.match(packed, '^(%d+) (%d+) ([012]) (.*)$')
    if not changed then
        return nil
    end
    return {changed = tonumber(changed), till = tonumber(till), kind = kind, value = value}
end

local function forget_sum(record)
    version.sum = version.sum - record.changed % SUM_OF
    version.live = version.live - (record.kind == '0' and 1 or 0)
end

-- Writes the record in place of `old`, which may be nil, and leaves the counter as it is.
local function write(id, record, old, kept_ms)
    if old then
        forget_sum(old)
    else
        version.count = version.count + 1
    end
    version.sum = version.sum + record.changed % SUM_OF
    redis.call('HSET', values, id, table.concat({text(record.changed), text(record.till), record.kind,
        record.value}, ' '))
    if record.kind == '0' then
        version.live = version.live + 1
        redis.call('ZREM', gone, id)
        if record.till > 0 then
            redis.call('ZADD', ends, text(record.till), id)
        else
            redis.call('ZREM', ends, id)
        end
    else
        redis.call('ZREM', ends, id)
        redis.call('ZADD', gone, text(record.changed + kept_ms), id)
    end
end

local function change(id, record, old, kept_ms)
    version.counter = version.counter + 1
    redis.call('ZADD', changes, text(version.counter), id)
    write(id, record, old, kept_ms)
end

local function forget(id)
    local record = find(id)
    local counter = tonumber(redis.call('ZSCORE', changes, id) or 0)
    if record then
        forget_sum(record)
    end
    version.count = version.count - 1
    version.cut = math.max(version.cut, counter)
    redis.call('HDEL', values, id)
    redis.call('ZREM', changes, id)
    redis.call('ZREM', ends, id)
    redis.call('ZREM', gone, id)
end

-- What has ended is kept on without its value, as what was removed is: every agent sees the end by itself.
local function clear(dead_max, kept_ms)
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', text(now), 'LIMIT', 0, DUE_AT_ONCE)) do
        local record = find(id)
        if record then
            write(id, {changed = record.changed, till = record.till, kind = '1', value = ''}, record, kept_ms)
        else
            forget(id)
        end
    end
    local dead = version.count - version.live
    local due = dead > dead_max and '+inf' or text(now)
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', gone, '-inf', due, 'LIMIT', 0,
            dead > dead_max and math.min(dead - dead_max, DUE_AT_ONCE) or DUE_AT_ONCE)) do
        forget(id)
    end
end

local function begin(run)
    if version.run == '' then
        redis.call('UNLINK', values, changes, ends, gone)
    end
    version.run = run
end

-- What users of Redis that were made for an earlier version may not call. Tried before there is anything,
-- so that an agent can say so at once, and by calls that change nothing.
local function try_rights()
    for _, call in ipairs({{'HLEN', values}, {'ZCARD', gone}, {'ZSCORE', gone, ''}, {'ZREM', gone, ''},
        {'ZADD', gone, 'XX', 0, ''}, {'ZRANGEBYSCORE', gone, 1, 0}}) do
        local reply = redis.pcall(unpack(call))
        local err = type(reply) == 'table' and reply.err
        if err and (err:find("can't run this command", 1, true) or
            err:find('permissions to run', 1, true)) then
            return {err = 'NOPERM the user of Redis may not run ' .. call[1]}
        end
    end
end

if command == 'read' then
    local lacks = ARGV[7] == '1' and version.counter == 0 and try_rights()
    if lacks then
        return lacks
    end
    local run, counter, is_full = ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
    local most, bytes = tonumber(ARGV[5]), tonumber(ARGV[6])
    local reply = head()
    reply[7] = counter
    if run ~= version.run or counter >= version.counter or not is_full and counter < version.cut then
        return reply
    end
    local found = redis.call('ZRANGEBYSCORE', changes, '(' .. text(counter), '+inf', 'WITHSCORES', 'LIMIT', 0,
        most)
    local length, taken, last = 7, 0, nil
    for i = 1, #found, 2 do
        local value = redis.call('HGET', values, found[i]) or ''
        taken = taken + #found[i] + #value
        if taken > bytes and last then
            reply[7] = last
            return reply
        end
        last = tonumber(found[i + 1])
        reply[length + 1], reply[length + 2], reply[length + 3] = found[i], last, value
        length = length + 3
    end
    reply[7] = #found == 2 * most and last or version.counter
    return reply
elseif command == 'put' then
    local id, kind = ARGV[3], ARGV[5]
    local kept_ms = tonumber(ARGV[10])
    local old = version.run ~= '' and find(id) or nil
    local reply
    if kind == '0' and not (old and old.kind == '0') and version.live >= tonumber(ARGV[8]) then
        -- Those that have ended make room.
        if version.run ~= '' then
            clear(tonumber(ARGV[9]), kept_ms)
            write_version()
        end
        if version.live >= tonumber(ARGV[8]) then
            reply = head()
            reply[7] = 0
            return reply
        end
        old = find(id)
    end
    if ARGV[11] == '1' and old and old.kind == '0' then
        reply = head()
        reply[7] = 1
        return reply
    end
    local changed = math.max(now, (old and old.changed or 0) + 1, tonumber(ARGV[7]) + 1)
    begin(version.run == '' and ARGV[2] or version.run)
    clear(tonumber(ARGV[9]), kept_ms)
    old = find(id)
    change(id, {changed = changed, till = tonumber(ARGV[4]), kind = kind, value = ARGV[6]}, old, kept_ms)
    write_version()
    reply = head()
    reply[7] = changed
    return reply
end

-- merge
local is_same = ARGV[2] == version.run and tonumber(ARGV[3]) == version.counter
if is_same then
    local kept_ms = tonumber(ARGV[5])
    begin(ARGV[4])
    for i = 6, #ARGV, 5 do
        local record = {changed = tonumber(ARGV[i + 1]), till = tonumber(ARGV[i + 2]), kind = ARGV[i + 3],
            value = ARGV[i + 4]}
        local old = find(ARGV[i])
        if not old or record.changed > old.changed or
                record.changed == old.changed and record.value > old.value then
            change(ARGV[i], record, old, kept_ms)
        end
    end
    write_version()
end
local reply = head()
reply[7] = is_same and 1 or 0
return reply
