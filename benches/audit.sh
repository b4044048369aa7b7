#!/bin/bash
# Measures `tickerd audit` on a tape of 1 GB beside wc -l, sha256sum and jq on the same file, as CPU time of one core and as peak memory.
# usage: benches/audit.sh [TICKERD] [FILE]: the release build, and a tape; without FILE the built-in exchange's is recorded and repeated.
set -euo pipefail
tickerd=$(readlink -f "${1:-target/release/tickerd}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
file=${2:-}

if [ -z "$file" ]; then
    mkfifo url
    "$tickerd" simulator --speed 50 > url 2> /dev/null &
    exchange=$!
    read -r url < url
    "$tickerd" run --channel ticker,market_trades,level2 --product BTC-USD,ETH-USD,SOL-USD --url "$url" --output once.ndjson \
        --lines 50000 2> /dev/null
    kill "$exchange"
    file=tape.ndjson
    # The same messages again and again, in envelopes, numbered on. Books begin once.
    awk -v most=1000000000 '
        { at = index($0, "\"sequence_num\":"); if (!at || length($0) > 100000) next
          head[++count] = substr($0, 1, at + 14); rest = substr($0, at + 15); sub(/^[0-9]+/, "", rest); tail[count] = rest }
        END { n = 0; while (size < most) for (i = 1; i <= count; i++) {
            second = int(n / 5000)
            line = sprintf("{\"v\":1,\"recv\":\"2026-11-24T%02d:%02d:%02d.%09dZ\",\"feed\":\"tickers\",\"conn\":\"3f2a0000/1\",\"n\":%d,\"msg\":",
                int(second / 3600), int(second / 60) % 60, second % 60, (n % 5000) * 200000, n) head[i] n tail[i] "}"
            print line; size += length(line) + 1; n++ } }' once.ndjson > "$file"
fi

bytes=$(zcat -f "$file" | wc -c)
echo "$bytes bytes, $(wc -l < "$file") lines, $(nproc) cores"
cat "$file" > /dev/null

measure() {
    local name=$1
    shift
    TIMEFORMAT='%U %S %R'
    local took memory
    took=$( { time "$@" > out 2> said; } 2>&1 ) || true
    memory=$( { command time -f %M "$@" > /dev/null; } 2>&1 | tail -1) || memory='?'
    awk -v name="$name" -v bytes="$bytes" -v took="$took" -v memory="$memory" 'BEGIN {
        split(took, t, " "); printf "%-24s %6.0f MB/s of a core  %6.2f s  %8s KiB\n", name, bytes / 1e6 / (t[1] + t[2] + 1e-9), t[3], memory }'
}

measure "tickerd audit" "$tickerd" audit "$file"
tail -1 out
measure "tickerd audit --quick" "$tickerd" audit --quick "$file"
measure "sha256sum" sha256sum "$file"
measure "wc -l" wc -l "$file"
if command -v jq > /dev/null; then measure "jq empty" jq empty "$file"; fi
