//go:build tools

// Package rpcx pins whose tests are run.
package rpcx

import _ "github.com/rpcxio/rpcx-etcd/store/etcdv3"
