// Package peers keeps what the suite is made of in go.mod: a tool line names programs only, and the suite is a package of
// tests alone. It builds its two echo programs itself, with `go build` in a folder that has this go.mod.
package peers

import (
	_ "github.com/containernetworking/plugins/pkg/testutils/echo/client"
	_ "github.com/containernetworking/plugins/pkg/testutils/echo/server"
	_ "github.com/onsi/ginkgo/v2"
	_ "github.com/onsi/gomega"
	_ "github.com/onsi/gomega/gbytes"
	_ "github.com/onsi/gomega/gexec"
)
