//go:build programs

// The program that scripts/partners/kubernetes-build makes; named here so that go.mod pins all it needs.
package programs

import _ "github.com/flannel-io/flannel"
