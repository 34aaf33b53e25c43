package assertion_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// groupsToken is an access token with count groups, each with an ID of its
// own, as Microsoft Entra ID lists them.
func groupsToken(count int) string {
	var groups []string
	for range count {
		var id [16]byte
		rand.Read(id[:])
		groups = append(groups, fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]))
	}
	signature := make([]byte, 256)
	rand.Read(signature)
	payload := must(json.Marshal(map[string]any{"sub": "alice", "groups": groups}))
	return b64([]byte(`{"alg":"RS256","kid":"a"}`)) + "." + b64(payload) + "." + b64(signature)
}

func TestAnAssertionOfALongTokenIsNoLongerThanTheToken(t *testing.T) {
	codec, _ := newCodec(t)
	for _, groups := range []int{100, 150, 200, 400} {
		claims := fullClaims()
		claims.Bearer = groupsToken(groups)
		signed := sign(t, codec, claims, start)
		if got := wantValid(t, codec, signed, start); got.Bearer != claims.Bearer {
			t.Errorf("%d groups: another token came out", groups)
		}
		if len(signed) > len(claims.Bearer)*11/10 {
			t.Errorf("%d groups: a token of %d bytes makes an assertion of %d", groups, len(claims.Bearer), len(signed))
		}
	}
}

func TestEveryTokenComesOutAsItWentIn(t *testing.T) {
	codec, _ := newCodec(t)
	long := groupsToken(150)
	dot := strings.IndexByte(long, '.')
	random := make([]byte, 24<<10)
	rand.Read(random)
	for name, token := range map[string]string{
		"short":                groupsToken(3),
		"4 KiB":                strings.Repeat("A", 4<<10),
		"long":                 long,
		"32 KiB of one letter": strings.Repeat("A", 32<<10),
		"32 KiB at random":     b64(random),
		"no JWT":               strings.Repeat("~opaque", 1000),
		"padded":               long + "=",
		"empty segments":       "." + strings.Repeat("AAAA", 2000) + "..",
		"spare bits":           long[:dot+1] + strings.Repeat("AAAA", 2000) + "B",
		"a line break":         long[:dot] + "\n" + long[dot:],
		"five segments":        long + "." + long[:dot] + ".AAAA",
	} {
		claims := fullClaims()
		claims.Bearer = token
		if got := wantValid(t, codec, sign(t, codec, claims, start), start); got.Bearer != token {
			t.Errorf("%s: another token came out", name)
		}
	}
}
