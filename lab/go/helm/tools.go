//go:build tools

// Package helm pins what the lab builds; nothing imports it.
package helm

import (
	_ "helm.sh/helm/v3/cmd/helm"
)
