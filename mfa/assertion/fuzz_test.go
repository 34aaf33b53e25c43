package assertion_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/assertion"
)

func FuzzStoredKeyring(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	keyring, err := assertion.NewKeyring(now)
	if err != nil {
		f.Fatal(err)
	}
	good, err := keyring.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"keys":[{}]}`))
	f.Add(bytes.ReplaceAll(good, []byte(`":"`), []byte(`":"A`)))
	f.Fuzz(func(t *testing.T, document []byte) {
		keyring, err := assertion.ParseKeyring(document)
		if err != nil {
			return
		}
		_, _ = keyring.JWKS(now)
		_ = keyring.Keys(now)
		encoded, err := keyring.Encode()
		if err != nil {
			t.Fatalf("what reads cannot be written: %v", err)
		}
		if _, err := assertion.ParseKeyring(encoded); err != nil {
			t.Fatalf("what is written does not read: %v", err)
		}
		if rotated, err := keyring.Rotate(now, time.Minute, time.Hour); err != nil || rotated == nil {
			t.Fatalf("it cannot be rotated: %v", err)
		}
	})
}
