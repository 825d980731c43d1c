//go:build tools

// Package etcd pins what the lab builds; nothing imports it.
package etcd

import (
	_ "go.etcd.io/etcd/server/v3"
)
