#!/usr/bin/env bash
# Builds the Go side of the gRPC tests into ~/.cache/peers/bin (or $PEERS_DIR/bin), again when its sources have
# changed. Needs Go and its module proxy; without Go it says so and the tests skip.
set -euo pipefail
cd "$(dirname "$0")/go"
bin=${PEERS_DIR:-$HOME/.cache/peers}/bin
go=$(command -v go || echo /usr/local/go/bin/go)
if [ ! -x "$go" ]; then
  echo 'grpc-peer is not built: there is no Go here'
  exit 0
fi
sources=$(cat ./*.go go.mod go.sum | sha256sum | cut -d ' ' -f 1)
if [ -x "$bin/grpc-peer" ] && [ "$(cat "$bin/grpc-peer.sources" 2>/dev/null)" = "$sources" ]; then
  exit 0
fi
mkdir -p "$bin"
CGO_ENABLED=0 GOFLAGS=-mod=readonly nice "$go" build -buildvcs=false -o "$bin/grpc-peer" .
echo "$sources" >"$bin/grpc-peer.sources"
echo "$bin/grpc-peer"
