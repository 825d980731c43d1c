//go:build tools

// Package kwok pins what the lab builds; nothing imports it.
package kwok

import (
	_ "sigs.k8s.io/kwok/cmd/kwok"
)
