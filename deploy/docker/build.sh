#!/usr/bin/env bash
# Build the images groundswell-{ingest,dedup,segmenter,notifier,console}, from the repository's root as the context.
#
#   REGISTRY         goes before the name, with a slash: registry.example.com/team
#   TAG              the project's version by default
#   TORCH_INDEX_URL  serves torch without CUDA, for dedup; the default index otherwise
#
# Exits with 3 where no Docker daemon answers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ! command -v docker >/dev/null; then
  echo "Images cannot be built here: there is no docker command. Install Docker, or build where it is." >&2
  exit 3
fi
if ! docker info >/dev/null 2>&1; then
  echo "Images cannot be built here: no Docker daemon answers (docker info fails). Start one, or set DOCKER_HOST." >&2
  exit 3
fi

tag="${TAG:-$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)}"
for service in ingest dedup segmenter notifier console; do
  image="${REGISTRY:+$REGISTRY/}groundswell-$service:$tag"
  arguments=()
  if [[ $service == dedup ]]; then
    arguments+=(--build-arg "TORCH_INDEX_URL=${TORCH_INDEX_URL:-}")
  fi
  echo "Building $image ..."
  docker build --file "deploy/docker/Dockerfile.$service" --tag "$image" "${arguments[@]}" .
done
