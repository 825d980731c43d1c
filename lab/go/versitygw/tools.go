//go:build tools

// Package versitygw pins what the tests build; nothing imports it.
package versitygw

import (
	_ "github.com/versity/versitygw/cmd/versitygw"
)
