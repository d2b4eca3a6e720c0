"""Our worker beside what others would build it from: `make bench-peers`, docs/peers.md."""
