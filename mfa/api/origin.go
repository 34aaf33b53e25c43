package api

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// inHosts are the characters of host names, IP addresses and ports.
const inHosts = "abcdefghijklmnopqrstuvwxyz0123456789-._:[]"

// ParseOrigin returns the origin that raw names, in the form in which
// browsers send it: lowercase, without a default port (RFC 6454, 6.2). An
// error says what keeps raw from being one: an origin is an http or https
// URL of nothing but a host in ASCII and perhaps a port; a final slash is
// let pass.
func ParseOrigin(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "" ||
		u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#") {
		return "", fmt.Errorf("%q is not of the form https://example.com: give scheme, host and, where it is not the default, port", raw)
	}
	for _, r := range u.Host {
		if r >= 0x80 || r <= ' ' || r == '*' {
			return "", fmt.Errorf("the host of %q is no host name in ASCII: write it as browsers send it, an international one with xn--", raw)
		}
		// net/url lets pass what would end a directive of a policy, or begin
		// another value of a header's list.
		if !strings.ContainsRune(inHosts, unicode.ToLower(r)) {
			return "", fmt.Errorf("the host of %q has %q in it: write one origin at a time, and nothing after its host and port", raw, r)
		}
	}
	origin := u.Scheme + "://" + strings.ToLower(u.Host)
	if strings.HasSuffix(u.Host, ":") {
		return "", fmt.Errorf("%q has a colon without a port: take it off", raw)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", fmt.Errorf("the port of %q is not from 1 to 65535", raw)
		}
		if u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
			origin = strings.TrimSuffix(origin, ":"+port)
		}
	}
	return origin, nil
}
