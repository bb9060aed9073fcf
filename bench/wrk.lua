-- For wrk: asks for checks of one policy, each by one of 10,000 random addresses, and prints the result
-- as JSON.
--
--     wrk ... --script bench/wrk.lua http://ADDRESS -- METHOD [FRESH]
--
-- One in FRESH requests has `Connection: close`, and the next one is on a new connection. With 0 no request
-- has that field.

local requests, count, fresh = {}, 0, 0

function init(arguments)
	local method, keys = arguments[1], 10000
	fresh = tonumber(arguments[2] or 0)
	math.randomseed(os.time())
	for n = 1, keys + keys do
		local key = string.format("10.0.%d.%d", n % keys / 250, n % 250)
		local headers = n > keys and { Connection = "close" } or {}
		if method == "POST" then
			headers["Content-Type"] = "application/json"
			requests[n] = wrk.format("POST", "/check", headers,
				'{"policy":"per-ip","key":"' .. key .. '"}')
		else
			requests[n] = wrk.format("GET", "/check?policy=per-ip&key=" .. key, headers)
		end
	end
end

function request()
	count = count + 1
	local is_fresh = fresh > 0 and count % fresh == 0
	return requests[math.random(#requests / 2) + (is_fresh and #requests / 2 or 0)]
end

function done(summary)
	local errors = summary.errors
	io.write(string.format('\n{"requests":%d,"seconds":%f,"failed":%d}\n', summary.requests,
		summary.duration / 1e6, errors.connect + errors.read + errors.write + errors.status
		+ errors.timeout))
end
