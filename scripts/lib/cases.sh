# Counts cases, and remembers which of them failed and why. scripts/test includes this file.
#
# Jobs run side by side in shells of their own, so what they count goes into files of $results, to which
# everybody only appends:
#   counts    a line `PASSED FAILED` of each binary, step or report
#   failures  the list for the end: `FAILED NAME - REASON`, the first lines of it
#   times     a line `SECONDS SECONDS_OF_PROCESSOR PART` of each job of a part
# shellcheck shell=bash

results=$(mktemp -d)
touch "$results/counts"
trap 'rm -rf "$results"' EXIT
reason_lines=15
step_log=
step_seconds=1800 # what a build, a binary of tests or another program may take
# Ctrl-C has to reach what `timeout` runs.
ends=(--kill-after=30)
[ ! -t 0 ] || ends+=(--foreground)

heading() {
	printf '\n== %s\n' "$*"
}

count() { # count PASSED FAILED
	echo "$1 $2" >>"$results/counts"
}

# Reads the reason from standard input.
note_failure() { # note_failure NAME <REASON
	local reason
	reason=$(grep -v '^[[:space:]]*$' | head -n "$reason_lines" | cut -c 1-300)
	printf 'FAILED %s - %s\n' "$1" "${reason//$'\n'/$'\n'    }" >>"$results/failures"
}

# Runs a function or a command as a part of the run, or as one job of it, and notes how long it takes,
# and for how long its programs had a processor.
part() { # part NAME COMMAND...
	local name=$1 start=$SECONDS cpu
	shift
	cpu=$(mktemp -p "$results")
	times >"$cpu"
	heading "$name"
	"$@"
	times >>"$cpu"
	# Each `times` has two lines, as in `0m1.000s 0m2.000s`.
	awk -F '[ms ]' -v took=$((SECONDS - start)) -v name="$name" '
		{ sum += (NR > 2 ? 1 : -1) * ($1 * 60 + $2 + $4 * 60 + $5) }
		END { printf "%d %.2f %s\n", took, sum, name }' "$cpu" >>"$results/times"
}

# --- jobs that run side by side ---

# Most tests wait for something most of the time, so two at once use what one leaves of two cores. What
# measures time or memory is no job: it has the machine for itself.
workers=${TEST_WORKERS:-2}
jobs=()

job() { # job PART COMMAND...
	jobs+=("$(printf '%q ' "$@")")
}

# What a job prints is shown in one piece, when the job has ended.
run_job() { # run_job PART COMMAND...
	local output
	output=$(mktemp -p "$results")
	part "$@" >"$output" 2>&1
	flock "$results/counts" cat "$output"
}

# Tests end what they have started when they get SIGINT, and have a moment for that.
end_jobs() {
	local pids pid signal
	mapfile -t pids < <(builtin jobs -p)
	for signal in INT TERM; do
		for pid in "${pids[@]}"; do
			kill "-$signal" -- "-$pid" 2>/dev/null
		done
		sleep 5
	done
	exit 130
}

# Runs so many jobs at once as there are workers, and forgets them. One worker takes the jobs from the front, where
# those are that keep several processors busy; the others take them from the back, where tests wait for something most
# of the time. So no two of the former run at once, and none of the processors idles for long.
run_jobs() {
	local first=0 last=$((${#jobs[@]} - 1)) of_front='' running=0 ended next
	set -m # each job is a process group, so that end_jobs reaches all of it
	trap end_jobs INT TERM
	while [ "$first" -le "$last" ]; do
		if [ "$running" -ge "$workers" ]; then
			wait -n -p ended
			running=$((running - 1))
			[ "$ended" != "$of_front" ] || of_front=
		fi
		if [ -z "$of_front" ]; then
			next=${jobs[first++]}
		else
			next=${jobs[last--]}
		fi
		eval "run_job $next" &
		running=$((running + 1))
		of_front=${of_front:-$!}
	done
	wait
	trap - INT TERM
	set +m
	jobs=()
}

# --- cases ---

# A step counts as a case, which passes if its command does. A command is a program, since `timeout`
# ends one that hangs. Afterwards $step_log is the file with its output.
step() { # step NAME COMMAND...
	local name=$1 log status
	shift
	log=$(mktemp -p "$results")
	# shellcheck disable=SC2034 # for the caller
	step_log=$log
	timeout "${ends[@]}" "$step_seconds" "$@" >"$log" 2>&1
	status=$?
	if [ "$status" -eq 0 ]; then
		printf 'ok - %s\n' "$name"
		count 1 0
		return
	fi
	[ "$status" -ne 124 ] || echo "It was ended, since it took more than $step_seconds s." >>"$log"
	printf 'not ok - %s\n' "$name"
	cat "$log"
	# What went wrong stands at the end of the output, and in a build at the first `error`.
	{
		grep -m 3 -iE '(error|fatal|undefined)[: ]' "$log"
		tail -n 10 "$log"
	} | note_failure "$name"
	count 0 1
	return 1
}

# Notes each `not ok` of an output in TAP, with the lines that a binary wrote about it.
note_cases() { # note_cases WHERE <OUTPUT
	local where=$1 line name='' reason=''
	while IFS= read -r line; do
		if [[ $line =~ ^(not\ )?ok\ [0-9]*\ ?-\ (.*) ]]; then
			[ -z "$name" ] || note_failure "$where: $name" <<<"$reason"
			name='' reason=''
			[[ $line != not* ]] || name=${BASH_REMATCH[2]}
		elif [ -n "$name" ]; then
			reason+=$line$'\n'
		fi
	done
	[ -z "$name" ] || note_failure "$where: $name" <<<"$reason"
}

# Runs cmocka's binaries and counts their cases. A binary that dies counts as one more failed case.
run_cases() { # run_cases BINARY...
	local binary name output status ok not_ok
	for binary in "$@"; do
		name=${binary#build/}
		output=$(CMOCKA_MESSAGE_OUTPUT=TAP timeout "${ends[@]}" "$step_seconds" "$binary" 2>&1)
		status=$?
		ok=$(grep -c '^ok ' <<<"$output")
		not_ok=$(grep -c '^not ok ' <<<"$output")
		if [ "$not_ok" -gt 0 ]; then
			note_cases "$name" <<<"$output"
		elif [ "$status" -ne 0 ] || [ "$ok" -eq 0 ]; then
			not_ok=1
			grep -v '^ok ' <<<"$output" | cat <(echo "exit status $status, after $ok cases") - |
				note_failure "$name"
		fi
		printf '%s: %d passed, %d failed\n' "$name" "$ok" "$not_ok"
		[ "$not_ok" -eq 0 ] || printf '%s\n' "$output"
		count "$ok" "$not_ok"
	done
}

# Runs a program that prints a line `ok - ...` or `not ok - ...` of each fault.
run_faults() { # run_faults NAME
	local output ok not_ok status
	output=$(timeout "${ends[@]}" "$step_seconds" "tests/faults/$1" 2>&1)
	status=$?
	ok=$(grep -c '^ok ' <<<"$output")
	not_ok=$(grep -c '^not ok ' <<<"$output")
	if [ "$not_ok" -gt 0 ]; then
		note_cases "fault of $1" <<<"$output"
	elif [ "$status" -ne 0 ] || [ "$ok" -eq 0 ]; then
		not_ok=1
		cat <(echo "exit status $status") - <<<"$output" | note_failure "faults of $1"
	fi
	printf '%s: %d faults caught, %d not\n' "$1" "$ok" "$not_ok"
	[ "$not_ok" -eq 0 ] || printf '%s\n' "$output"
	count "$ok" "$not_ok"
}

# Runs pytest. Each test has the time that pytest.ini says; all of them together have $pytest_seconds.
# With CI set, pytest shows whole values where it compares. With $may_be_empty set, a selection may have
# no test.
run_pytest() { # run_pytest BINARY ARGUMENTS...
	local report status binary=$1
	shift
	report=$(mktemp -p "$results")
	CI=true TESTED_AGENT=$binary timeout --foreground --signal=INT --kill-after=60 \
		"${pytest_seconds:-0}" /usr/bin/python3 -m pytest -q -p no:cacheprovider --durations=20 \
		--durations-min=2 -rN --junitxml="$report" "$@"
	status=$?
	if [ "$status" -eq 5 ] && [ -n "${may_be_empty:-}" ]; then
		return
	fi
	/usr/bin/python3 scripts/lib/junit-cases "$report" "$(basename "$(dirname "$binary")")" "$status" \
		>"$report.cases"
	# The first line is `PASSED FAILED`, the others are the list of failures.
	head -n 1 "$report.cases" >>"$results/counts"
	tail -n +2 "$report.cases" >>"$results/failures"
}

# Prints the time of each part and all failures. The last line is `N passed, M failed`.
finish() {
	local passed failed
	heading "times of the parts, of which $workers run side by side; then their time of processor"
	awk '{
		seconds = $1
		cpu = $2
		sub(/^[0-9]+ [0-9.]+ /, "")
		if (!($0 in sum))
			order[++parts] = $0
		sum[$0] += seconds
		cpus[$0] += cpu
	} END {
		for (i = 1; i <= parts; i++) {
			part = order[i]
			printf "%3d:%02d %3d:%02d  %s\n", sum[part] / 60, sum[part] % 60, cpus[part] / 60, cpus[part] % 60, part
		}
	}' "$results/times"
	printf '%3d:%02d         from begin to end\n' $((SECONDS / 60)) $((SECONDS % 60))
	if [ -s "$results/failures" ]; then
		heading 'all that failed'
		cat "$results/failures"
	fi
	passed=$(awk '{ sum += $1 } END { print sum + 0 }' "$results/counts")
	failed=$(awk '{ sum += $2 } END { print sum + 0 }' "$results/counts")
	printf '\n%d passed, %d failed\n' "$passed" "$failed"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
