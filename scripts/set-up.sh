#!/usr/bin/env bash
# Make the virtual environment with the locked dependencies: set-up.sh VENV [PYTHON]
# Debian has python3 without ensurepip: the system's pip then installs into the environment.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$1
python=${2:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "error: Lakecore needs Python 3.11 or newer; $python is $("$python" -V 2>&1)" >&2
    echo "  hint:     make PYTHON=python3.12 ..." >&2
    exit 2
fi

if [ ! -x "$venv/bin/python" ]; then
    echo "making the virtual environment $venv" >&2
    "$python" -m venv "$venv" >/dev/null 2>&1 || "$python" -m venv --clear --without-pip "$venv"
fi
if "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    pip=("$venv/bin/python" -m pip)
else
    pip=("$python" -m pip --python "$venv/bin/python")
fi

install() {
    "${pip[@]}" install --quiet --disable-pip-version-check --no-input "$@"
}

# What builds source packages comes first, locked like everything else, so that no build
# fetches a version of its own.
echo "installing the locked dependencies" >&2
install --require-hashes -r requirements/build.txt
install --require-hashes --no-build-isolation --use-pep517 -r requirements/dev.txt
install --no-deps --no-build-isolation -e .
