//go:build tools

// Package coredns pins whose tests are run.
package coredns

import _ "github.com/coredns/coredns/plugin/etcd"
