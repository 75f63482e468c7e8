#!/bin/sh
# Installs Chromium from the system's packages, for the tests that look at the control plane.
# Nothing of it is shipped; no browser is downloaded from anywhere else.
set -eu
if command -v chromium >/dev/null 2>&1; then
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
    echo "no chromium, and no apt-get as root: tests/browser will not be collected" >&2
    exit 1
fi
echo "installing chromium" >&2
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium fonts-dejavu-core \
    >/dev/null
