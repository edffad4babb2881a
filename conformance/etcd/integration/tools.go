//go:build tools

// Package integration pins whose tests are run.
package integration

import _ "go.etcd.io/etcd/tests/v3/integration"
