//go:build programs

// The programs that scripts/partners/kubernetes-build makes; named here so that go.mod pins all they need.
package programs

import (
	_ "go.etcd.io/etcd/etcdctl/v3"
	_ "go.etcd.io/etcd/server/v3"
)
