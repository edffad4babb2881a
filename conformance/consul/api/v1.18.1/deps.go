// Package deps names what is tested, so that `go mod tidy` keeps it and what its tests need.
package deps

import (
	_ "github.com/hashicorp/consul/api"
	_ "github.com/hashicorp/consul/api/watch"
)
