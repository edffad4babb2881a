//go:build tools

// Package deps names what is built, so that `go mod tidy` keeps it.
package deps

import _ "github.com/hashicorp/consul-template"
