// Package peers keeps what e2e.test is made of in go.mod: a tool line names programs only, and this is a test binary.
package peers

import _ "k8s.io/kubernetes/test/e2e"
