#!/bin/sh
# Build steps of the image, in one place: the Dockerfile runs them, and so does a test, in an empty directory.
#
#   docker/build.sh SOURCE TARGET [PYTHON]
#
# TARGET becomes a virtual environment with the hash-locked dependencies and Holdfast itself, and nothing else: no
# compiler, no pip. It is the same at any path where the same Python stands.
set -eu

source=$1
target=$2
python=${3:-python3}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The build tools live in an environment of their own, so that none of them is shipped.
"$python" -m venv "$work/tools"
"$work/tools/bin/pip" install -q --disable-pip-version-check --require-hashes --only-binary :all: \
    -r "$source/requirements-build.lock"

# Built from a copy: the source may be read-only.
mkdir "$work/source"
cp -R "$source/pyproject.toml" "$source/README.md" "$source/LICENSE" "$source/signer" "$source/interchange" "$work/source/"
"$work/tools/bin/pip" wheel -q --disable-pip-version-check --no-deps --no-index --no-build-isolation \
    --wheel-dir "$work/wheel" "$work/source"

"$python" -m venv --without-pip "$target"
"$work/tools/bin/pip" --python "$target" install -q --disable-pip-version-check --require-hashes \
    --only-binary :all: -r "$source/requirements.lock"
"$work/tools/bin/pip" --python "$target" install -q --disable-pip-version-check --no-deps --no-index "$work"/wheel/*.whl

"$target/bin/holdfast" version
