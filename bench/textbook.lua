-- A token bucket as textbooks and blogs have it, for bench/run-redis to compare with: a hash with the tokens
-- and the time, in floating point, read and written at each check.
--
--   EVALSHA <sha> 1 KEY CAPACITY TOKENS-A-SECOND COST
local capacity, rate, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(bucket[1]) or capacity, tonumber(bucket[2]) or now

tokens = math.min(capacity, tokens + math.max(0, now - at) * rate)
local is_allowed = tokens >= cost
if is_allowed then
    tokens = tokens - cost
end
redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', now)
redis.call('PEXPIRE', KEYS[1], math.ceil(capacity / rate * 1000))
return {is_allowed and 1 or 0, tostring(tokens)}
