//go:build tools

// Package common pins whose tests are run.
package common

import _ "go.etcd.io/etcd/tests/v3/common"
