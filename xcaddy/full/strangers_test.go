package main_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/faultproxy"
	"github.com/caddymfa/caddy-mfa/internal/pgtest"
)

// The network drops what goes to and from the store: each question to it takes
// as long as it may.
func TestStrangersDoNotWaitForAStoreThatHangs(t *testing.T) {
	server := pgtest.New(t, "fsync=off")
	proxy := faultproxy.New(t, server.Address)
	e := edgetest.New(t)
	e.Full = true
	e.Env = []string{"MFA_DSN=" + pgtest.DSN(proxy.Address, pgtest.Superuser, "postgres")}
	e.Start(over(overPostgres))
	alice := enrolled(t, e, "alice")
	if answer := e.Do("GET", "/admin/x", alice.full, nil); answer.Status != 200 {
		t.Fatalf("the gate: %d %s", answer.Status, answer.Body)
	}
	proxy.Silence()
	began := time.Now()
	for n := range 100 {
		header := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"typ":"mfa+jwt","alg":"ES256","kid":"%d"}`, n))
		unknown := header + ".e30." + strings.Repeat("A", 86)
		r := e.Request("GET", "/public", "", nil)
		r.Header.Set("Cookie", "__Host-mfa="+unknown)
		if answer := e.Send(r); answer.Status != 200 {
			t.Fatalf("an open path: %d %s", answer.Status, answer.Body)
		}
		if answer := e.Do("GET", "/public", unknown, nil); answer.Status != 503 && answer.Status != 401 {
			t.Fatalf("as the bearer: %d %s", answer.Status, answer.Body)
		}
		if answer := e.Do("GET", "/admin/x", unknown, nil); answer.Status != 503 && answer.Status != 401 {
			t.Fatalf("at a gate: %d %s", answer.Status, answer.Body)
		}
	}
	// One after the other, they would take 25 minutes.
	if took := time.Since(began); took > time.Minute {
		t.Errorf("300 requests of a stranger took %v", took)
	}
	proxy.Mend(t)
	edgetest.Eventually(t, time.Minute, "the gate opens", func() bool {
		return e.Do("GET", "/admin/x", alice.full, nil).Status == 200
	})
}
