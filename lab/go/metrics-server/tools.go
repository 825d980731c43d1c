//go:build tools

// Package metricsserver pins what the lab builds; nothing imports it.
package metricsserver

import (
	_ "sigs.k8s.io/metrics-server/cmd/metrics-server"
)
