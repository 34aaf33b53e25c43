package gate_test

import (
	"net/http"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/gate"
)

func TestWhatIsCopiedToAGuardedPathIsGuarded(t *testing.T) {
	paths, err := gate.NewPaths([]string{"/admin/*"})
	if err != nil {
		t.Fatal(err)
	}
	for value, guarded := range map[string]bool{
		"http://example.com/admin/x": true, "https://example.com/ADMIN": true, "/admin/x": true, "//example.com/admin": true, "/x/..%2fadmin": true,
		"http:admin": true, "admin": true, "http://example.com/%zz": true, "": true,
		"http://example.com/public/x": false, "/public": false, "//example.com/public": false,
	} {
		if got := paths.MatchDestination(http.Header{"Destination": {"/public", value}}); got != guarded {
			t.Errorf("%q: guarded is %v", value, got)
		}
	}
	if paths.MatchDestination(http.Header{"Accept": {"/admin"}}) {
		t.Error("a request without a destination is guarded")
	}
}
