package magiclink

import (
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

func FuzzHashToken(f *testing.F) {
	token, _, err := newToken("account-key")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{token, token[:20], "." + token, strings.ToUpper(token), token + "\n", "", ".", "a.", "a." + strings.Repeat("_", 43)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		account, hash, ok := HashToken(token)
		if !ok {
			if account != "" || hash != nil {
				t.Fatalf("%q, %x of no token", account, hash)
			}
			return
		}
		if len(hash) != 32 || !strings.HasPrefix(token, account+".") || !isURLSafe(account) {
			t.Fatalf("%q is of %q", token, account)
		}
	})
}

func FuzzStoredState(f *testing.F) {
	kind, err := New(Config{Sender: &outbox{}, LinkURL: testLinkURL, Issuer: "Acme"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"address":"a@b.example","secretHash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`), "a@b.")
	f.Add([]byte(`{"address":"a@b.."}`), "a@localhost.")
	f.Add([]byte(`[]`), "")
	f.Fuzz(func(t *testing.T, state []byte, name string) {
		account := testAccount
		account.Name, account.Email = name, name
		_, _ = kind.Resend(account, state, testNow)
		_, _ = kind.Confirm(account, state, factor.Proof{Token: name}, testNow)
		_, _ = kind.BeginLogin(account, state, LoginRequest{AccountName: name, UserAgent: name, IP: name, At: testNow})
		if address, err := Address(state); err == nil && address == "" {
			t.Fatal("no address and no error")
		}
	})
}
