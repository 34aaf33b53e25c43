package gate_test

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/gate"
)

func TestAnUpgradePassesToOneAllowedProtocolAlone(t *testing.T) {
	upgrades, err := gate.NewUpgrades([]string{"tcp", "SPDY/3.1"})
	if err != nil {
		t.Fatal(err)
	}
	upgrade := []string{"Upgrade"}
	for _, test := range []struct {
		connection, values []string
		passes             bool
	}{
		{upgrade, []string{"websocket"}, true},
		{upgrade, []string{"WebSocket"}, true},
		{[]string{"keep-alive, upgrade"}, []string{"websocket"}, true},
		{[]string{"keep-alive", "x, UPGRADE"}, []string{"websocket"}, true},
		{upgrade, []string{"TCP"}, true},
		{upgrade, []string{"spdy/3.1"}, true},
		{upgrade, []string{"h2c"}, false},
		{upgrade, []string{"websocket, h2c"}, false},
		{upgrade, []string{"h2c, websocket"}, false},
		{upgrade, []string{"websocket,"}, false},
		{upgrade, []string{",websocket"}, false},
		{upgrade, []string{"websocket", "h2c"}, false},
		{upgrade, []string{"websocket", "websocket"}, false},
		{upgrade, []string{"websocket", ""}, false},
		{upgrade, []string{"websocket/13"}, false},
		{upgrade, []string{"websocket "}, false},
		{upgrade, []string{"web_socket"}, false},
		{upgrade, []string{"SPDY"}, false},
		{upgrade, []string{"SPDY/3.1/h2c"}, false},
		{upgrade, []string{"tcp/1"}, false},
		{upgrade, []string{"TLS/1.3"}, false},
		{upgrade, []string{""}, false},
		{upgrade, []string{}, false},
		{nil, []string{"websocket"}, false},
		{[]string{"close"}, []string{"websocket"}, false},
		{[]string{"upgraded, Up-grade"}, []string{"websocket"}, false},
		{[]string{"\"Upgrade\""}, []string{"websocket"}, false},
	} {
		held := slices.Clone(test.values)
		r := &http.Request{Header: http.Header{"Upgrade": test.values, "Connection": test.connection}}
		upgrades.Strip(r)
		if passes := slices.Equal(r.Header["Upgrade"], test.values) && r.Header["Upgrade"] != nil; passes != test.passes {
			t.Errorf("Connection %q, Upgrade %q: passes %v", test.connection, test.values, passes)
		}
		if !slices.Equal(held, test.values) {
			t.Errorf("the values that others may hold became %q", test.values)
		}
	}
	var none gate.Upgrades
	r := &http.Request{Header: http.Header{"Upgrade": {"tcp"}, "Connection": upgrade}}
	if none.Strip(r); r.Header["Upgrade"] != nil {
		t.Error("a protocol passes that nobody has allowed")
	}
	none.Strip(&http.Request{})
}

func TestTheSettingsOfHTTP2AreTakenAway(t *testing.T) {
	r := &http.Request{Header: http.Header{"Accept": {"*/*"}, "Http2-Setting": {"x"}, "Http2-Settings-2": {"y"}}}
	want := r.Header.Clone()
	for _, name := range []string{"Http2-Settings", "HTTP2_SETTINGS", "http2.settings", "Http2~Settings"} {
		r.Header[name] = []string{"AAMAAABkAAQAAP__"}
	}
	if gate.StripIdentity(r); !reflect.DeepEqual(r.Header, want) {
		t.Errorf("left %v", r.Header)
	}
}

func TestProtocolsThatCarryRequestsAreRefused(t *testing.T) {
	for _, names := range [][]string{nil, {"tcp"}, {"SPDY/3.1", "my-protocol"}, {"h2o"}} {
		if got, err := gate.NewUpgrades(names); err != nil || !slices.Equal(got, names) {
			t.Errorf("%q: %q, %v", names, got, err)
		}
	}
	for name, reason := range map[string]string{
		"h2c": "no gate has seen", "H2C": "no gate has seen", "h2c-14": "no gate has seen", "h2": "no gate has seen", "h2-14": "no gate has seen",
		"HTTP/2.0": "no gate has seen", "http": "no gate has seen", "TLS/1.3": "no gate has seen", "h3": "no gate has seen",
		"websocket": "always passes", "WebSocket/13": "always passes",
		"": "not the name", "tcp, h2c": "not the name", "a b": "not the name", "/1": "not the name", "tcp/": "not the name", "a/b/c": "not the name", "é": "not the name",
	} {
		if _, err := gate.NewUpgrades([]string{"tcp", name}); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestATunnelIsRecognized(t *testing.T) {
	const http1, http2, http3 = 1, 2, 3
	for _, test := range []struct {
		method   string
		major    int
		proto    string
		protocol []string // the pseudo header, as net/http keeps it
		tunnels  bool
	}{
		{"GET", http1, "HTTP/1.1", nil, false},
		{"PUT", http2, "HTTP/2.0", nil, false},
		{"OPTIONS", http1, "HTTP/1.1", nil, false},
		{"CONNECT", http1, "HTTP/1.1", nil, true},
		{"connect", http1, "HTTP/1.1", nil, true},
		{"CONNECT", http1, "HTTP/1.1", []string{"websocket"}, true},
		{"CONNECT", http2, "HTTP/2.0", nil, true},
		{"CONNECT", http2, "HTTP/2.0", []string{"websocket"}, false},
		{"Connect", http2, "HTTP/2.0", []string{"websocket"}, true},
		{"CONNECT", http2, "HTTP/2.0", []string{"websocket", "h2c"}, true},
		{"CONNECT", http2, "HTTP/2.0", []string{"h2c"}, true},
		{"CONNECT", http3, "HTTP/3.0", nil, true},
		{"CONNECT", http3, "websocket", nil, false},
		{"CONNECT", http3, "connect-udp", nil, true},
		{"PRI", http2, "HTTP/2.0", nil, true},
	} {
		r := &http.Request{Method: test.method, ProtoMajor: test.major, Proto: test.proto, Header: http.Header{}}
		if test.protocol != nil {
			r.Header[":protocol"] = test.protocol
		}
		if tunnels := gate.Tunnels(r); tunnels != test.tunnels {
			t.Errorf("%+v: %v", test, tunnels)
		}
	}
}

// browserHeaders are what a browser sends.
func browserHeaders() http.Header {
	return http.Header{
		"Accept": {"text/html,application/xhtml+xml"}, "Accept-Encoding": {"gzip, deflate, br"}, "Accept-Language": {"en"},
		"Authorization": {"Bearer x"}, "Cache-Control": {"no-cache"}, "Connection": {"keep-alive"}, "Cookie": {"theme=dark; session=abc%20def"},
		"Sec-Fetch-Mode": {"navigate"}, "User-Agent": {"Mozilla/5.0"}, "X-Requested-With": {"fetch"},
	}
}

func TestLookingForUpgradesCostsNoMemory(t *testing.T) {
	r := &http.Request{Method: "GET", Header: browserHeaders()}
	var upgrades gate.Upgrades
	for name, look := range map[string]func(){
		"upgrades": func() { upgrades.Strip(r) },
		"identity": func() { gate.StripIdentity(r) },
		"tunnels":  func() { gate.Tunnels(r) },
		"cookies":  func() { gate.Cookies(r.Header, "other") },
	} {
		if n := testing.AllocsPerRun(100, look); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkStrip(b *testing.B) {
	r := &http.Request{Method: "GET", Header: browserHeaders()}
	var upgrades gate.Upgrades
	b.ReportAllocs()
	for b.Loop() {
		upgrades.Strip(r)
		gate.StripIdentity(r)
	}
}
