//go:build tools

// Package goframe pins whose tests are run.
package goframe

import _ "github.com/gogf/gf/contrib/registry/etcd/v2"
