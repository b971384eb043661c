// Package peers keeps what the suite is made of in go.mod: a tool line names programs only, and this is a test binary.
package peers

import _ "sigs.k8s.io/network-policy-api/conformance"
