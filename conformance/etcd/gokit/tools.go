//go:build tools

// Package gokit pins whose tests are run.
package gokit

import _ "github.com/go-kit/kit/sd/etcdv3"
