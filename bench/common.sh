# Shared by bench/run and bench/run-http. Each round appends its figures to $work/COLUMN.NAME. A row of the
# table has a cell for each of `columns`, which the scripts set.
# shellcheck shell=bash disable=SC2034,SC2154

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/bench
# The environment may have settings for another agent.
unset "${!RATELIMIT_@}"
PATH=$PATH:/usr/sbin:/sbin
rounds=5
seconds=5

connections=4 # of spop-load
keys=10000
# After the warm-up every balance exists, and no check is denied, so every check is the same work.
warmup=2
capacity=1000000
refill_rate=1/1m # so slow that no balance becomes full, and expires in Redis, before the end
store_timeout=1s # so long that the agent waits for the store even when the machine stalls

work=
pid=   # of the server that is measured, while it runs
other= # of the process that runs beside it

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

# Ends only the processes that this script started, by their pids.
stop_all() {
	[ -z "$pid" ] || stop "$pid"
	[ -z "$other" ] || stop "$other"
	[ -z "$work" ] || rm -rf "$work"
}

# --- set-up ------------------------------------------------------------------------------------

# Sets a variable for each option, with the name of the option.
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

# Checks that the programs are installed, builds, and makes a directory for this run.
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

# Starts the server, waits until it has logged EVENT, and sets `pid` and the addresses `spop` and `http`.
start_server() { # start_server EVENT COMMAND...
	local event=$1
	shift
	: >"$work/server.log" # empty, or the lines of the last server would be read
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

# COMMAND is put before the agent, like `taskset -c 0` or `valgrind`.
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

# Notes the ratio of two figures of this round.
note_ratio() { # note_ratio COLUMN NAME NAME-ABOVE NAME-BELOW
	note "$1" "$2" "$(jq -n "$(tail -n 1 "$work/$1.$3") / $(tail -n 1 "$work/$1.$4")")"
}

# Prints the CPU time of a process so far, in microseconds: user and system.
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

# Prints the median of all rounds, the least and the most.
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
