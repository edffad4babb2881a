//go:build tools

// Package kvtools pins whose tests are run.
package kvtools

import _ "github.com/kvtools/etcdv3"
