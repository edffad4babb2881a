//go:build tools

// Package eureka pins whose tests are run.
package eureka

import _ "github.com/go-kit/kit/sd/eureka"
