package gate

import (
	"errors"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// webSocket is the protocol that every site may switch to. It carries
// messages of one endpoint, and no further HTTP requests.
const webSocket = "websocket"

// Upgrades are the protocols, beside WebSocket, to which a client may have a
// backend switch (RFC 9110, 7.8). No gate sees what is sent after the switch.
type Upgrades []string

// NewUpgrades checks the names of protocols, such as "tcp" or "SPDY/3.1".
// Protocols that carry HTTP requests are refused.
func NewUpgrades(names []string) (Upgrades, error) {
	for _, name := range names {
		protocol, version, versioned := strings.Cut(name, "/")
		if !httpguts.ValidHeaderFieldName(protocol) || versioned && !httpguts.ValidHeaderFieldName(version) {
			return nil, errors.New("\"" + name + "\" is not the name of a protocol: write it as in the Upgrade header, such as tcp or SPDY/3.1")
		}
		switch family := strings.ToLower(protocol); {
		case family == webSocket:
			return nil, errors.New("\"" + name + "\" is not needed: websocket always passes, and no version of it is ever named; remove it")
		case family == "http", family == "tls", family == "h2", family == "h3", strings.HasPrefix(family, "h2c"), strings.HasPrefix(family, "h2-"):
			return nil, errors.New("\"" + name + "\" is not allowed: the backend would read HTTP requests that no gate has seen; remove it, and let Caddy speak HTTP/2 to the backend with the transport option versions h2c")
		}
	}
	return Upgrades(names), nil
}

// Strip takes the Upgrade header out of a request unless it asks for exactly
// one protocol that is allowed, in one field, and Connection names it. A
// backend that switches to HTTP/2 reads requests that no gate has seen.
func (u Upgrades) Strip(r *http.Request) {
	values, there := r.Header["Upgrade"]
	if !there {
		return
	}
	if len(values) != 1 || !u.allows(values[0]) || !httpguts.HeaderValuesContainsToken(r.Header["Connection"], "Upgrade") {
		delete(r.Header, "Upgrade")
	}
}

func (u Upgrades) allows(protocol string) bool {
	if strings.EqualFold(protocol, webSocket) {
		return true
	}
	for _, allowed := range u {
		if strings.EqualFold(protocol, allowed) {
			return true
		}
	}
	return false
}

// settingsHeader is a part of the upgrade to HTTP/2 (RFC 7540, 3.2.1), in
// lower case.
const settingsHeader = "http2-settings"

// isSettings reports whether some backend may take name for HTTP2-Settings.
func isSettings(name string) bool {
	return len(name) == len(settingsHeader) && beginsLike(name, settingsHeader)
}

// Tunnels reports whether a request is not one message but opens a tunnel: by
// CONNECT (RFC 9110, 9.3.6), whose body a proxy sends on without a length, so
// that a backend reads further requests in it, or by the preface of HTTP/2
// (RFC 9113, 3.4). A WebSocket over HTTP/2 or HTTP/3 (RFC 8441, RFC 9220) is
// no such tunnel: Caddy turns it into an upgrade.
func Tunnels(r *http.Request) bool {
	switch len(r.Method) {
	case len("PRI"):
		return r.Method == "PRI"
	case len(http.MethodConnect):
		return strings.EqualFold(r.Method, http.MethodConnect) && !connectsWebSocket(r)
	}
	return false
}

func connectsWebSocket(r *http.Request) bool {
	if r.Method != http.MethodConnect {
		return false
	}
	switch r.ProtoMajor {
	case 2:
		protocol := r.Header[":protocol"] // as net/http keeps it
		return len(protocol) == 1 && protocol[0] == webSocket
	case 3:
		return r.Proto == webSocket // as quic-go keeps it
	}
	return false
}
