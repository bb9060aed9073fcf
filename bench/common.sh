# What bench/run and bench/run-http share. A round appends to $work/COLUMN.NAME; a row of the table
# has a cell for each of `columns`, which they set.
# shellcheck shell=bash disable=SC2034,SC2154

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/bench
# Settings of another agent are none of this one's.
unset "${!RATELIMIT_@}"
PATH=$PATH:/usr/sbin:/sbin
rounds=5
seconds=5

connections=4 # of spop-load's
keys=10000
# Every balance is there after the warm-up, and nothing is denied: the same work for every check.
warmup=2
capacity=1000000
refill_rate=1/1m # so slow that none is full again, and expires in Redis, before the end
store_timeout=1s # so that a hiccup of the machine does not become an answer without the store

work=
pid=   # of the server that is measured, if it runs
other= # of what runs beside it

usage() {
	sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
}

fail() {
	echo "bench/$(basename "$0"): $*" >&2
	exit 1
}

fail_with() {
	tail -n 20 "$1" >&2
	fail "$2"
}

stop() { # stop PID
	kill "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

# Ends what this script started, by pid, and nothing else.
stop_all() {
	[ -z "$pid" ] || stop "$pid"
	[ -z "$other" ] || stop "$other"
	[ -z "$work" ] || rm -rf "$work"
}

# --- set-up ------------------------------------------------------------------------------------

# Sets the variables that have the names of the options.
read_options() { # read_options ACCEPTED ARGUMENTS...
	local accepted=" $1 "
	shift
	while [ $# -gt 0 ]; do
		case $1 in
		-h | --help) usage && exit 0 ;;
		esac
		[[ $1 == --* && $accepted == *" ${1#--} "* ]] || { usage >&2 && exit 2; }
		[[ ${2:-} =~ ^[1-9][0-9]{0,8}$ ]] || {
			echo "bench/$(basename "$0"): $1: accepted is a whole number from 1" >&2
			exit 2
		}
		declare -g "${1#--}=$2"
		shift 2
	done
}

# Builds, in a directory for this run.
begin() { # begin PROGRAM...
	local program
	trap stop_all EXIT
	trap 'exit 1' INT TERM
	for program in cmake jq taskset "$@"; do
		command -v "$program" >/dev/null || fail "$program is not installed"
	done
	[ "$(nproc)" -ge 2 ] || fail "this needs two cores"
	work=$(mktemp -d)
	(cd "$root" && cmake --preset bench && cmake --build --preset bench -j "$(nproc)") \
		>"$work/build.log" 2>&1 || fail_with "$work/build.log" "the build failed"
	cat >"$work/policies.json" <<-END
		{
		  "policies": {
		    "per-ip": {
		      "algorithm": "token_bucket",
		      "capacity": $capacity,
		      "refill_rate": "$refill_rate",
		      "key": ["src"]
		    }
		  }
		}
	END
}

listens_at() { # listens_at PROTOCOL
	jq -r "select(.event == \"listening\" and .protocol == \"$1\").address" "$work/server.log"
}

# Sets `pid`, and the addresses `spop` and `http`. It is there when it has logged EVENT.
start_server() { # start_server EVENT COMMAND...
	local event=$1
	shift
	: >"$work/server.log" # or what the last one said might be read
	"$@" 2>>"$work/server.log" &
	pid=$!
	for _ in {1..200}; do
		if grep -q "\"event\":\"$event\"" "$work/server.log"; then
			spop=$(listens_at spop)
			http=$(listens_at http)
			return
		fi
		sleep 0.05
	done
	fail_with "$work/server.log" "the server did not start"
}

# COMMAND stands before the agent: where or how it runs.
start_agent() { # start_agent STORE COMMAND...
	local store=$1 event=started
	shift
	[ "$store" = memory: ] || event=store_up
	start_server "$event" "$@" "$build/ratelimit-spoa" --spop-listen 127.0.0.1:0 \
		--http-listen 127.0.0.1:0 --policies "$work/policies.json" --store "$store" \
		--store-timeout "$store_timeout"
}

stop_server() {
	stop "$pid"
	pid=
}

# --- measuring ---------------------------------------------------------------------------------

note() { # note COLUMN NAME VALUE
	echo "$3" >>"$work/$1.$2"
}

# Of this round.
note_ratio() { # note_ratio COLUMN NAME NAME-ABOVE NAME-BELOW
	note "$1" "$2" "$(jq -n "$(tail -n 1 "$work/$1.$3") / $(tail -n 1 "$work/$1.$4")")"
}

# Microseconds, user and system.
cpu_us() { # cpu_us PID
	local stat
	stat=$(<"/proc/$1/stat")
	awk -v us=$((1000000 / $(getconf CLK_TCK))) '{ print $12 * us, $13 * us }' <<<"${stat##*)}"
}

# Every check must have been decided by the store, and allowed.
run_load() { # run_load IN_FLIGHT SPOP-LOAD'S FLAGS...
	local in_flight=$1
	shift
	taskset -c 1 "$build/spop-load" --address "$spop" --connections "$connections" \
		--in-flight "$in_flight" --keys "$keys" --json "$@" >"$work/load.json" ||
		fail_with "$work/server.log" "spop-load failed"
	jq -e '.allowed == .checks and .degraded == 0' "$work/load.json" >/dev/null ||
		fail_with "$work/load.json" "not every check was allowed by the store"
}

of_load() { # of_load JQ'S EXPRESSION
	jq -r "$1" "$work/load.json"
}

note_load() { # note_load IN_FLIGHT NAME
	note "$1" "$2.rate" "$(of_load .checks_per_second)"
	note "$1" "$2.p50" "$(of_load .latency_us.p50)"
	note "$1" "$2.p99" "$(of_load .latency_us.p99)"
	note "$1" "$2.p99.9" "$(of_load '.latency_us["p99.9"]')"
	note "$1" "$2.user" "$(of_load '.processes[1].user_us_per_check')"
	note "$1" "$2.system" "$(of_load '.processes[1].system_us_per_check')"
	note "$1" "$2.busy" "$(of_load '.processes[1].cpu_percent')"
	note "$1" "$2.rss" "$(of_load '.processes[1].rss_kb')"
}

# --- the table ---------------------------------------------------------------------------------

# The median of the rounds, the least and the most.
cell() { # cell COLUMN NAME DECIMALS
	[ -f "$work/$1.$2" ] || return 0
	sort -g "$work/$1.$2" | awk -v number="%.$3f" '
		{ v[NR] = $1 }
		END {
			median = (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2
			printf number (NR > 1 ? " (" number " to " number ")" : ""), median, v[1], v[NR]
		}'
}

row() { # row NAME DECIMALS TEXT
	local column
	[ -f "$work/${columns[0]}.$1" ] || return 0
	printf '| %s |' "$3"
	for column in "${columns[@]}"; do
		printf ' %s |' "$(cell "$column" "$1" "$2")"
	done
	echo
}

load_rows() { # load_rows NAME TEXT
	row "$1.rate" 0 "$2: checks a second"
	row "$1.p50" 0 "$2: latency p50, µs"
	row "$1.p99" 0 "$2: latency p99, µs"
	row "$1.p99.9" 0 "$2: latency p99.9, µs"
}

head_row() { # head_row TEXT...
	printf '| median of %d (least to most) |' "$rounds"
	printf ' %s |' "$@"
	printf '\n|---|'
	printf -- '---|%.0s' "$@"
	echo
}
