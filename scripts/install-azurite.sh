#!/bin/sh
# Installs Azurite, the emulator of Azure's blob storage, for the tests of that adapter.
# It goes into the virtual environment's folder; nothing of it is shipped.
set -eu
VERSION=3.37.0
cd "$(dirname "$0")/.."
if ! command -v npm >/dev/null 2>&1; then
    echo "npm is not installed: the tests of the Azure adapter will not be collected" >&2
    exit 1
fi
mkdir -p .venv/azurite
npm install --prefix .venv/azurite --no-fund --no-audit --no-save --ignore-scripts --loglevel=error \
    "azurite@$VERSION"
