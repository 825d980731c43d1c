//go:build tools

// Package sigstore pins what the tests build; nothing imports it.
package sigstore

import (
	_ "github.com/sigstore/fulcio"
	_ "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix"
	_ "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server"
	_ "github.com/transparency-dev/tesseract/cmd/tesseract/posix"
)
