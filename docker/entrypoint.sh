#!/bin/sh
# The roles of the image. exec everywhere: signals reach the process itself.
set -eu

role=${1:-worker}
[ $# -gt 0 ] && shift
role_file=${TMPDIR:-/tmp}/email-relay-role

# Several containers may start at once: `email-relay migrate` takes a lock in the database, and waits for a database that
# is still starting. A shell that is process 1 ignores SIGTERM, and would wait on when it is told to stop.
ready() {
    email-relay migrate --wait "${DATABASE_WAIT_SECONDS:-60}" -v 0 &
    migrating=$!
    trap 'kill -TERM "$migrating"; exit 143' TERM INT
    wait "$migrating"
    trap - TERM INT
}

case "$role" in
    worker | beat | run | web | flower) echo "$role" >"$role_file" ;;
esac

case "$role" in
    worker)
        ready
        if [ "${WITH_BEAT:-true}" = true ]; then
            exec celery -A relay_worker worker -B "$@"
        fi
        exec celery -A relay_worker worker "$@"
        ;;
    beat)
        ready
        exec celery -A relay_worker beat "$@"
        ;;
    run)
        ready
        exec email-relay run "$@"
        ;;
    web)
        ready
        exec email-relay web "$@"
        ;;
    flower)
        exec celery -A relay_worker flower --address=0.0.0.0 "$@"
        ;;
    healthcheck)
        # what this container needs, and that its own process answers; the SMTP server's health is the circuit's matter
        case "$(cat "$role_file" 2>/dev/null)" in
            worker) exec email-relay check --only settings database migrations broker node ;;
            web) exec email-relay check --only settings database migrations broker web ;;
            flower) exec email-relay check --only broker flower ;;
            run) exec email-relay check --only settings database migrations relay ;;
            *) exec email-relay check --only settings database migrations broker ;;
        esac
        ;;
    *)
        exec email-relay "$role" "$@"
        ;;
esac
