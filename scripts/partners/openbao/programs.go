//go:build programs

// Package programs names what scripts/partners/openbao-build builds, so that go.mod and go.sum pin it.
package programs

import _ "github.com/openbao/openbao/command"
