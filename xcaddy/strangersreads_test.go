package main_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// storeReads is how many readings of the store the metrics count.
func storeReads(t *testing.T, e *edgetest.Edge) (total float64) {
	t.Helper()
	for line := range strings.Lines(e.Do("GET", "/metrics", "", nil).Body) {
		if strings.HasPrefix(line, "caddy_mfa_store_duration_seconds_count{") && strings.Contains(line, `operation="get"`) {
			var n float64
			if _, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &n); err != nil {
				t.Fatal(err)
			}
			total += n
		}
	}
	return total
}

func TestAStrangersRequestsReadTheStoreAFewTimesAtMost(t *testing.T) {
	e := edgetest.New(t)
	e.Start(strings.Replace(gated(adminGate), "\tmfa\n", "\tmetrics /metrics\n\tmfa\n", 1))
	alice := enrolled(t, e, "alice", nil)
	alice.pair.wantOpens(t, e, "alice", alice.token, "GOOGLE_AUTH", "mfa")
	account := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	before := storeReads(t, e)
	if before == 0 {
		t.Fatal("the readings are not counted")
	}
	mails, begun, series := len(outbox(t, e)), time.Now(), 0
	for n := range 100 {
		if n == 50 {
			series = seriesCount(t, e)
		}
		header := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"typ":"mfa+jwt","alg":"ES256","kid":"%d"}`, n))
		unknown := header + ".e30." + strings.Repeat("A", 86)
		e.Do("GET", "/public", unknown, nil).WantError(t, 401, "invalid_token", "")
		e.Do("GET", "/admin/x", unknown, nil).WantError(t, 401, "invalid_token", "")
		if answer := withCookie(e, "GET", "/public", "", unknown); answer.Status != 200 {
			t.Fatalf("an open path: %d %s", answer.Status, answer.Body)
		}
		e.Do("GET", "/mfa/jwks.json", "", nil)
		e.Do("GET", "/admin/x", "no.such.token", nil).WantError(t, 401, "invalid_token", "")
		for _, route := range []string{"inspect", "activate", "deny"} {
			secret := base64.RawURLEncoding.EncodeToString(fmt.Appendf(make([]byte, 29), "%03d", n))
			e.Do("POST", "/mfa/magic-link/"+route, "", map[string]any{"token": account + "." + secret}).
				WantError(t, 400, "invalid_magic_link", "")
		}
		for _, route := range []string{"setup", "magic-link/send", fmt.Sprint("made-up-", n)} {
			e.Do("POST", "/mfa/"+route, fmt.Sprint("no.such.", n), map[string]any{"mfaType": "MAGIC_LINK", "email": "alice@example.com"})
		}
	}
	// One look at the keys in two seconds, whatever is sent.
	reads, took := storeReads(t, e)-before, time.Since(begun)
	if bound := 2 + took.Seconds(); reads > bound {
		t.Errorf("1,100 requests of a stranger in %v read the store %v times, more than %v", took, reads, bound)
	}
	if n := len(outbox(t, e)); n != mails {
		t.Errorf("%d mails went out", n-mails)
	}
	// What is new in the second half of the requests made no series of its own.
	if now := seriesCount(t, e); now != series {
		t.Errorf("there were %d time series, and are %d", series, now)
	}
}

// seriesCount is how many time series of ours the metrics have.
func seriesCount(t *testing.T, e *edgetest.Edge) (n int) {
	t.Helper()
	for line := range strings.Lines(e.Do("GET", "/metrics", "", nil).Body) {
		if strings.HasPrefix(line, "caddy_mfa_") {
			n++
		}
	}
	return n
}
