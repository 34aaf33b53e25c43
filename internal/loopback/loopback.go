// Package loopback tells hosts that traffic cannot leave this machine for.
package loopback

import (
	"net"
	"strings"
)

// Host reports whether host, a name or an IP address without brackets, is
// this machine: a loopback address, localhost or a name below it (RFC
// 6761, 6.3).
func Host(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
