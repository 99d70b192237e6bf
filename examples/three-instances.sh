#!/bin/sh
# Three brokers on one Redis, on this machine, without Kubernetes: chat-0, chat-1 and chat-2.
#
#     examples/three-instances.sh
#
# BROKER is the program (built here if it is not given), PORT the first of the six ports. Everything ends with Ctrl-C.
set -eu

PORT=${PORT:-8000}
if [ -z "${BROKER:-}" ]; then
    cd "$(dirname "$0")/.."
    cargo build --package switchboard-broker
    BROKER=target/debug/broker
fi
command -v redis-server >/dev/null || {
    echo "redis-server is not here; install it (Debian: apt-get install redis-server)" >&2
    exit 1
}

started=""
finish() {
    trap - EXIT INT TERM
    for process in $started; do
        kill "$process" 2>/dev/null || true
    done
    wait
}
trap finish EXIT INT TERM

redis-server --port $((PORT + 6)) --bind 127.0.0.1 --save '' --appendonly no --loglevel warning &
started="$!"

for number in 0 1 2; do
    SWITCHBOARD_INSTANCE__ID="chat-$number" \
        SWITCHBOARD_CLIENT__ADDRESS="127.0.0.1:$((PORT + number))" \
        SWITCHBOARD_ADMIN__ADDRESS="127.0.0.1:$((PORT + 3 + number))" \
        SWITCHBOARD_REDIS__URL="redis://127.0.0.1:$((PORT + 6))" \
        SWITCHBOARD_AUTH__ANONYMOUS=true \
        SWITCHBOARD_AUTH__API_KEYS='[first-key]' \
        SWITCHBOARD_LOGIC__MODULES='[{name: all, broadcaster: {}, receives: [rpc, send]}]' \
        "$BROKER" run &
    started="$started $!"
done

cat <<TEXT

  Clients connect to any of
    ws://127.0.0.1:$PORT/connection/websocket         chat-0
    ws://127.0.0.1:$((PORT + 1))/connection/websocket         chat-1
    ws://127.0.0.1:$((PORT + 2))/connection/websocket         chat-2

  All clients of all instances:
    curl http://127.0.0.1:$PORT/api/clients -H 'X-API-Key: first-key' -d '{}'

TEXT
wait
