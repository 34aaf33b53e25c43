package totp

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pquerna/otp"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

func FuzzKeyURI(f *testing.F) {
	f.Add("Acme", "alice@example.com", "")
	f.Add("Größe: & Söhne", "a@b.", "x")
	f.Add("a/b?c#d%e+f", "\u202e", "\x00")
	f.Add("日本語", strings.Repeat("é", 300), "\xff")
	f.Fuzz(func(t *testing.T, issuer, name, email string) {
		if checkIssuer(issuer) != nil {
			return
		}
		label, err := accountLabel(factor.Account{Name: name}, factor.Request{Email: email})
		if err != nil {
			return
		}
		if label == "" || !utf8.ValidString(label) || len(escape(label)) > maxLabel || !factor.Plain(label) {
			t.Fatalf("the label is %q", label)
		}
		const secret = "JPBLFG4SLMVYYD2UFQXZ4FQ725G4X5Y4"
		uri := keyURI(issuer, label, secret)
		key, err := otp.NewKeyFromURL(uri)
		if err != nil {
			t.Fatalf("%s: %v", uri, err)
		}
		if key.Secret() != secret || key.Period() != 30 || key.Digits() != otp.DigitsSix || key.Type() != "totp" {
			t.Fatalf("%s reads as %v", uri, key)
		}
	})
}

func FuzzParseCode(f *testing.F) {
	for _, typed := range []string{"123456", "123 456", "１２３４５６", "12-34-56", "\u200f123456", "", "1234567", "٣٤٥٦٧٨", strings.Repeat(" ", 100)} {
		f.Add(typed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, err := parseCode(typed)
		if err != nil {
			if code != "" {
				t.Fatalf("%q, %v", code, err)
			}
			return
		}
		if len(code) != codeLength || strings.Trim(code, "0123456789") != "" {
			t.Fatalf("%q reads as %q", typed, code)
		}
		if again, err := parseCode(code); again != code || err != nil {
			t.Fatalf("%q reads as %q, %v", code, again, err)
		}
	})
}
