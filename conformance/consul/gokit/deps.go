//go:build tools

// Package deps names what is run, so that `go mod tidy` keeps it.
package deps

import _ "github.com/go-kit/kit/sd/consul"
