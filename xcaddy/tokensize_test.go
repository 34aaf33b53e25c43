package main_test

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// largest is the most bytes that an access token may have.
const largest = 32 << 10

// manyGroups are claims with count groups, as Microsoft Entra ID lists them.
func manyGroups(count int) map[string]any {
	groups := make([]string, count)
	for i := range groups {
		id := noise(32)
		groups[i] = strings.Join([]string{id[:8], id[8:12], id[12:16], id[16:20], id[20:]}, "-")
	}
	return map[string]any{"roles": groups}
}

// noise is a text of hexadecimal digits that cannot be guessed.
func noise(length int) string {
	random := make([]byte, length)
	_, _ = rand.Read(random)
	return hex.EncodeToString(random)[:length]
}

// sizedToken is a token of alice's with 150 groups, and of size bytes, or of one byte less.
func sizedToken(e *edgetest.Edge, size int) string {
	fill := noise(size)
	sign := func(padding int) string {
		claims := manyGroups(150)
		claims["padding"] = fill[:padding]
		return e.Token("alice", claims)
	}
	padding := (size - len(sign(0))) * 3 / 4
	for len(sign(padding+1)) <= size {
		padding++
	}
	for len(sign(padding)) > size {
		padding--
	}
	return sign(padding)
}

func TestATokenOfUpTo32KiBGoesAllTheWay(t *testing.T) {
	e := edgetest.New(t)
	// Caddy itself reads headers of 16 KiB. A token and a whole assertion in the
	// cookie may come together.
	e.Start(strings.Replace(gated(adminGate), "{\n", "{\n\tservers {\n\t\tmax_header_size 128KiB\n\t}\n", 1))
	p := &person{t: t, e: e, subject: "alice", token: sizedToken(e, 10_400)}
	p.secret = setupTOTP(t, e, p.token)["secret"].(string)
	enrolled := verifyTOTP(e, p.token, p.code(-1))
	p.pair = pairOf(t, enrolled)
	p.pair.wantOpens(t, e, "alice", p.token, "GOOGLE_AUTH", "mfa")

	p.token = sizedToken(e, largest)
	if len(p.token) < largest-1 {
		t.Fatalf("the token has %d bytes", len(p.token))
	}
	p.pair = pairOf(t, p.showCode(p.code(0)))
	p.pair.wantOpens(t, e, "alice", p.token, "GOOGLE_AUTH", "mfa")
	refreshed := pairOf(t, e.Do("POST", "/mfa/refresh", p.token, map[string]any{"refreshToken": p.pair.refresh}))
	refreshed.wantOpens(t, e, "alice", p.token, "GOOGLE_AUTH", "mfa")
	t.Logf("an access token of %d bytes makes a fullAccessToken of %d and a cookie of %d", len(p.token), len(refreshed.access), len(refreshed.cookie))

	// Where nothing is guarded the backend gets the access token too, and the
	// routes of the API know who asks with the whole pair.
	if answer := e.Do("GET", "/elsewhere", refreshed.access, nil); answer.Status != 200 {
		t.Errorf("an open route: %d %s", answer.Status, answer.Body)
	}
	all := e.Upstream.Requests()
	if got := all[len(all)-1].Header.Get("Authorization"); got != "Bearer "+p.token {
		t.Errorf("the upstream gets %d bytes of Authorization", len(got))
	}
	if verified := e.Do("GET", "/mfa/status", refreshed.access, nil).Data(t)["sessionVerified"]; verified != true {
		t.Errorf("sessionVerified is %v", verified)
	}

	over := sizedToken(e, largest+2)
	for what, answer := range map[string]edgetest.Answer{
		"the API":                   e.Do("GET", "/mfa/status", over, nil),
		"setup":                     e.Do("POST", "/mfa/setup", over, map[string]any{"mfaType": "GOOGLE_AUTH"}),
		"a gate":                    e.Do("GET", "/admin/reports", over, nil),
		"a gate, and a good cookie": withCookie(e, "GET", "/admin/reports", over, refreshed.cookie),
	} {
		answer.WantError(t, 401, "invalid_token", "")
		if !strings.Contains(answer.Body, "longer than 32 KiB") {
			t.Errorf("%s: %s", what, answer.Body)
		}
	}
	if got := len(e.Upstream.Requests()); got != len(all) {
		t.Errorf("the upstream got %d more requests", got-len(all))
	}
}

// The groups of Microsoft Entra ID, and what Caddy reads by default.
func TestThePairOfATokenWithManyGroupsIsNoLongerThanTheToken(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	p := enrolled(t, e, "alice", manyGroups(150))
	p.pair.wantOpens(t, e, "alice", p.token, "GOOGLE_AUTH", "mfa")
	t.Logf("an access token of %d bytes makes a fullAccessToken of %d", len(p.token), len(p.pair.access))
	if len(p.pair.access) > len(p.token) {
		t.Errorf("an access token of %d bytes makes a fullAccessToken of %d", len(p.token), len(p.pair.access))
	}
	if strings.Contains(e.Log(), "max_header_size") {
		t.Error("the log warns of a fullAccessToken that fits")
	}
}

func TestTheLogSaysThatTheServerDoesNotTakeAPairBack(t *testing.T) {
	e := edgetest.New(t)
	e.Start(strings.Replace(gated(adminGate), "{\n", "{\n\tservers {\n\t\tmax_header_size 2KiB\n\t}\n", 1))
	p := enrolled(t, e, "alice", map[string]any{"note": noise(2600)})
	// On a connection of its own: Go reads more where it waited for a request.
	response, err := new(http.Transport).RoundTrip(e.Request("GET", "/admin/reports", p.pair.access, nil))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("fullAccessToken of %d bytes: %d", len(p.pair.access), response.StatusCode)
	}
	if !strings.Contains(e.Log(), "raise max_header_size") {
		t.Errorf("the log does not say how to have %d bytes read", len(p.pair.access))
	}
	if answer := withCookie(e, "GET", "/admin/reports", p.token, p.pair.cookie); answer.Status != 200 {
		t.Errorf("the cookie: %d %s", answer.Status, answer.Body)
	}
}
