#!/bin/sh
# The roles of the image. exec everywhere: signals reach the process itself.
set -eu

role=${1:-worker}
[ $# -gt 0 ] && shift

# Several containers may start at once: `email-relay migrate` takes a lock in the database, and waits for a database that
# is still starting.
ready() {
    email-relay migrate --wait "${DATABASE_WAIT_SECONDS:-60}" -v 0
}

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
        # a worker is healthy when database, migrations and broker answer; the SMTP server's health is the circuit's matter
        exec email-relay check --only settings database migrations broker
        ;;
    *)
        exec email-relay "$role" "$@"
        ;;
esac
