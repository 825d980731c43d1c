//go:build tools

// Package coredns pins what the lab builds; nothing imports it.
package coredns

import (
	_ "github.com/coredns/coredns"
)
