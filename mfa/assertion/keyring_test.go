package assertion_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/assertion"
)

const (
	overlap   = 10 * time.Minute
	retention = time.Hour
)

func rotate(t *testing.T, keyring *assertion.Keyring, now time.Time, overlap, retention time.Duration) *assertion.Keyring {
	t.Helper()
	rotated, err := keyring.Rotate(now, overlap, retention)
	if err != nil {
		t.Fatal(err)
	}
	return rotated
}

// published returns the IDs of the published keys, oldest first.
func published(t *testing.T, keyring *assertion.Keyring, now time.Time) []string {
	t.Helper()
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(must(keyring.JWKS(now)), &set); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, key := range set.Keys {
		ids = append(ids, key.ID)
	}
	return ids
}

// signedBy returns the ID of the key that signs at now.
func signedBy(t *testing.T, keyring *assertion.Keyring, now time.Time) string {
	t.Helper()
	header, _, _ := strings.Cut(sign(t, assertion.NewCodec(issuer, keyring, nil), slimClaims(now), now), ".")
	var members struct {
		ID string `json:"kid"`
	}
	if err := json.Unmarshal(unb64(header), &members); err != nil {
		t.Fatal(err)
	}
	return members.ID
}

// slimClaims are good for a day.
func slimClaims(now time.Time) assertion.Claims {
	claims := fullClaims()
	claims.AuthTime, claims.IssuedAt, claims.Expiry, claims.Bearer = now, now, now.Add(24*time.Hour), ""
	return claims
}

func wantIDs(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got the keys %v, want %v", got, want)
	}
}

func TestANewKeyIsPublishedAtOnceAndSignsAfterTheOverlap(t *testing.T) {
	first := newKeyring(t)
	both := rotate(t, first, start, overlap, retention)
	ids := published(t, both, start)
	if len(ids) != 2 || ids[0] != published(t, first, start)[0] {
		t.Fatalf("got the keys %v", ids)
	}
	begins := start.Add(overlap)
	wantIDs(t, []string{
		signedBy(t, both, start), signedBy(t, both, begins.Add(-time.Nanosecond)), signedBy(t, both, begins),
	}, ids[0], ids[0], ids[1])
}

func TestAnOldKeyVerifiesUntilTheRetentionEnds(t *testing.T) {
	first := newKeyring(t)
	token := sign(t, assertion.NewCodec(issuer, first, nil), slimClaims(start), start)
	both := rotate(t, first, start, overlap, retention)
	codec := assertion.NewCodec(issuer, both, nil)
	ends := start.Add(overlap + retention)
	wantValid(t, codec, token, ends.Add(-time.Nanosecond))
	wantInvalid(t, codec, token, ends, "no key that counts")
	ids := published(t, both, start)
	wantIDs(t, published(t, both, ends.Add(-time.Nanosecond)), ids...)
	wantIDs(t, published(t, both, ends), ids[1])

	third := rotate(t, both, ends, overlap, retention)
	if got := must(third.Encode()); bytes.Contains(got, []byte(ids[0])) || !bytes.Contains(got, []byte(ids[1])) {
		t.Errorf("the keyring still holds a key whose time is over, or has lost one that is not")
	}
	wantIDs(t, published(t, first, ends), ids[0]) // the ring that was rotated is as it was
}

// TestKeysSignInTurnWhenOneRotationFollowsAnother has the second come while
// the first key to follow is still waiting.
func TestKeysSignInTurnWhenOneRotationFollowsAnother(t *testing.T) {
	later := start.Add(4 * time.Minute)
	ring := rotate(t, rotate(t, newKeyring(t), start, overlap, retention), later, overlap, retention)
	ids := published(t, ring, later)
	wantIDs(t, []string{
		signedBy(t, ring, later), signedBy(t, ring, start.Add(overlap)), signedBy(t, ring, later.Add(overlap)),
	}, ids...)
	wantIDs(t, published(t, ring, start.Add(overlap+retention)), ids[1:]...)
	wantIDs(t, published(t, ring, later.Add(overlap+retention)), ids[2:]...)
}

func TestARotationWithoutOverlapAndRetentionLeavesTheNewKeyAlone(t *testing.T) {
	first := newKeyring(t)
	token := sign(t, assertion.NewCodec(issuer, first, nil), slimClaims(start), start)
	old := rotate(t, first, start, overlap, retention)
	ring := rotate(t, old, start, 0, 0)
	ids := published(t, ring, start)
	if len(ids) != 1 || slices.Contains(published(t, old, start), ids[0]) {
		t.Fatalf("got the keys %v", ids)
	}
	wantIDs(t, []string{signedBy(t, ring, start), signedBy(t, ring, start.Add(2*overlap))}, ids[0], ids[0])
	wantInvalid(t, assertion.NewCodec(issuer, ring, nil), token, start, "no key that counts")
}

func TestNegativeDurationsAreRefused(t *testing.T) {
	for _, d := range [][2]time.Duration{{-1, 0}, {0, -1}} {
		if _, err := newKeyring(t).Rotate(start, d[0], d[1]); err == nil {
			t.Errorf("rotated with %v", d)
		}
	}
}

func TestNodesWhoseClocksDifferUnderstandEachOther(t *testing.T) {
	behind := start.Add(-30 * time.Second)
	first := newKeyring(t)
	wantIDs(t, []string{signedBy(t, first, behind)}, published(t, first, start)...)

	both := rotate(t, first, start, overlap, retention)
	codec := assertion.NewCodec(issuer, both, nil)
	claims := slimClaims(start.Add(overlap))
	claims.AuthTime = start
	token := sign(t, codec, claims, start.Add(overlap)) // by the second key
	wantValid(t, codec, token, behind.Add(overlap))     // where it has not begun
}

func TestThePublishedSetHoldsPublicMembersOnly(t *testing.T) {
	ring := rotate(t, newKeyring(t), start, overlap, retention)
	var set map[string][]map[string]string
	if err := json.Unmarshal(must(ring.JWKS(start)), &set); err != nil {
		t.Fatal(err)
	}
	if len(set) != 1 || len(set["keys"]) != 2 {
		t.Fatalf("got %v", set)
	}
	for _, key := range set["keys"] {
		var names []string
		for name := range key {
			names = append(names, name)
		}
		slices.Sort(names)
		if want := []string{"alg", "crv", "kid", "kty", "use", "x", "y"}; !slices.Equal(names, want) {
			t.Errorf("got the members %v, want %v", names, want)
		}
		if key["alg"] != "ES256" || key["use"] != "sig" || key["kty"] != "EC" || key["crv"] != "P-256" {
			t.Errorf("got the key %v", key)
		}
		if len(unb64(key["kid"])) != 32 {
			t.Errorf("kid is %q, want a thumbprint", key["kid"])
		}
	}
}

func TestAKeyringOutlivesItsEncoding(t *testing.T) {
	ring := rotate(t, newKeyring(t), start, overlap, retention)
	encoded := must(ring.Encode())
	parsed, err := assertion.ParseKeyring(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if again := must(parsed.Encode()); !bytes.Equal(again, encoded) {
		t.Errorf("got  %s\nwant %s", again, encoded)
	}
	token := sign(t, assertion.NewCodec(issuer, ring, nil), slimClaims(start), start)
	wantValid(t, assertion.NewCodec(issuer, parsed, nil), token, start)
	for _, now := range []time.Time{start, start.Add(overlap), start.Add(overlap + retention)} {
		wantIDs(t, published(t, parsed, now), published(t, ring, now)...)
		wantIDs(t, []string{signedBy(t, parsed, now)}, signedBy(t, ring, now))
	}
}

func TestADamagedKeyringIsRefusedWithoutAWordOfIt(t *testing.T) {
	encoded := string(must(newKeyring(t).Encode()))
	i := strings.Index(encoded, `"private":"`) + len(`"private":"`)
	other := "A"
	if encoded[i] == 'A' {
		other = "B"
	}
	for name, damaged := range map[string]string{
		"empty":           "",
		"null":            "null",
		"no keys":         "[]",
		"an empty key":    "[{}]",
		"cut short":       encoded[:len(encoded)-1],
		"trailing data":   encoded + "x",
		"another type":    `{"MARKER":"MARKER"}`,
		"another private": encoded[:i] + other + encoded[i+1:],
		"a short private": `[{"kid":"MARKER","private":"AAAA","from":"2026-03-01T12:00:00Z"}]`,
		"a zero private":  `[{"kid":"MARKER","private":"` + strings.Repeat("A", 43) + `=","from":"2026-03-01T12:00:00Z"}]`,
		"a bad time":      strings.Replace(encoded, "2026-", "MARKER", 1),
	} {
		_, err := assertion.ParseKeyring([]byte(damaged))
		if err == nil {
			t.Errorf("%s: parsed", name)
		} else if strings.Contains(err.Error(), "MARKER") || strings.Contains(err.Error(), encoded[i:i+8]) {
			t.Errorf("%s: the error tells %q", name, err)
		}
	}
}
