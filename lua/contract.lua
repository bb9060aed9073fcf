--[[
ratelimit-spoa: all limiters, for any number of requests in one call (the agent's have up to 32).

    EVALSHA <sha> <n> KEYS[1] .. KEYS[n] <time> { <checks> <shadow> { <check> } }

    KEYS    one for each check, in the order of the checks; different ones in a request, but that
            one in shadow may have that of another
    time    `now`: the server's own. Or microseconds, for tests and replay only; TTLs are then at
            least an hour, since the server's own time goes on
    checks  how many checks the next request has; they are charged together or not at all. With a
            minus, which may be -0, nothing is charged: the request is denied already
    shadow  how many more it has behind those, in shadow: each is decided alone, stops nothing, and
            is charged if it would pass and the request is allowed. A negative number is a look, with
            -1 for none in shadow, -2 for one: the reply is what it would be, and nothing is written
    check   token_bucket <cost> <capacity> <tokens> <us>    it gets so many tokens every so many us
            sliding_window <cost> <limit> <window us>
            sliding_window_counter <cost> <limit> <window us>
            fixed_window <cost> <limit> <window us>
    cost    -1 is a reset: the balance becomes full, and the state in the reply is the one before.
            -1 - n settles n units: as many of them as are left are charged, and the check passes

The reply is one array: the time that was counted by; then for each request 1 if it was allowed, or
0, and behind it for each of its checks the state as it was found, brought up to that time:

    token_bucket            level, last
    sliding_window          used, last, and when three entries were made: the newest, the one that
                            must leave for `remaining` to grow, the one for this cost to pass
    sliding_window_counter  previous, current, last
    fixed_window            used, last

A request that can't be decided has an error in place of all that: Redis' own (WRONGTYPE, OOM, ...) or
BROKENSTATE for a value that is no state. Nothing of it was charged; when a write is refused, which
looks can't foresee, nothing after it. A check in shadow has one in place of its own state only.

A denied request writes nothing but a state whose time lies further ahead than from empty to full,
which a wrong clock wrote: it is brought back to now. A write never shortens the life of its key.

The numbers of a check may be others than those by which its state was written: a bucket keeps its
level, rounded down, and at most its capacity; a window keeps what was used, which may be above the limit.

    $ redis-cli EVALSHA <sha> 1 rl:example now 1 0 token_bucket 1 10 1 1000000
    1) (integer) 1764000000000000    the time
    2) (integer) 1                   allowed
    3) (integer) 10000000            level: it had 10 tokens, in millionths of one
    4) (integer) 1764000000000000    last: it is new

What was taken is given back in a call of its own, when in a cluster another slot denies the request:

    EVALSHA <sha> <n> KEYS[1] .. KEYS[n] back <time> { <taken> <check> }

    taken   when the check's cost was taken, by this server's clock

The reply has the time, and for each check 1, or an error. A bucket gets back what it has not refilled
since then, up to full; a window all of it while it is that window; a log loses its oldest units in their
place. So no unit is won that was taken later. A large log in its old layout (a ring) gets back nothing.

What an agent has leased it spends itself (docs/reference.md, section "Leases"). Before a check that is
not in shadow may stand

    lease <wanted> <back> <taken>

wanted  so many units are taken in place of the cost, as far as they are there, if the request is allowed;
        at least the cost, or 0
back    so many units, which an earlier call took at the time `taken`, are given back first, as above, and
        are in the state that is replied. They are given back also if the request is denied

Every number is whole and below 2^53, so that Lua's doubles are exact; times are in microseconds.
Under a key is a string of 8-byte integers, big-endian, or for a large log a hash, with a TTL until it is
as good as new:

    token_bucket            level in 1/unit tokens, unit (the <us> when it was written), last
    sliding_window          a log: see there
    sliding_window_counter  used in the window before that of `last`, used in that of `last`, last
    fixed_window            used in the window of `last`, last

Agents count each other by the same script. Each holds the first of some keys, which are its seats, that
is free, and the reply is how many of them are taken, with its own:

    EVALSHA <sha> <n> KEYS[1] .. KEYS[n] agents <who> <ms that the seat lives>

The same arithmetic stands in C, for balances in memory, in spoa/limit/*.c, with its reasons.
--]]
