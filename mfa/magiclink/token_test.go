package magiclink

import (
	"bytes"
	"strings"
	"testing"
)

func TestHashTokenFindsTheAccountAndTheHash(t *testing.T) {
	for _, key := range []string{"a", "A-b_c~d", "with.dots.in.it", "0123456789abcdef"} {
		token, want, err := newToken(key)
		if err != nil {
			t.Fatal(err)
		}
		if got, hash, ok := HashToken(token); !ok || got != key || !bytes.Equal(hash, want) {
			t.Errorf("token of %q is read as %q, %x, %v, want the hash %x", key, got, hash, ok, want)
		}
	}
}

func TestWhatIsNoTokenIsNotRead(t *testing.T) {
	secret := strings.Repeat("A", 43)
	for _, token := range []string{
		"", ".", "a", "a.", "." + secret, secret, "a." + secret[1:], "a." + secret + "A", "a." + secret[1:] + "=", "a." + secret[1:] + "+",
		"a." + secret[1:] + "B", // bits set beyond the last byte
		"a." + secret[2:] + "\r\n", "a b." + secret, "a/b." + secret, "ä." + secret, strings.Repeat("a", 513) + "." + secret,
	} {
		if key, hash, ok := HashToken(token); ok || key != "" || hash != nil {
			t.Errorf("%q is read as a token of %q", token, key)
		}
	}
}
