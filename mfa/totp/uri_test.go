package totp

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pquerna/otp"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

func TestTheURIIsTheKeyURIFormatToTheLetter(t *testing.T) {
	got := keyURI("Acme & Söhne", "a: b c/d?e#f%g&h+i@例.test", "JBSWY3DPEHPK3PXP")
	want := "otpauth://totp/Acme%20%26%20S%C3%B6hne:a%20b%20c%2Fd%3Fe%23f%25g%26h%2Bi@%E4%BE%8B.test" +
		"?secret=JBSWY3DPEHPK3PXP&issuer=Acme%20%26%20S%C3%B6hne&algorithm=SHA1&digits=6&period=30"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestURIsReadBackAsTheyWereMeant(t *testing.T) {
	for _, issuer := range []string{"Acme", "Acme Corp", "Müller & Söhne", "株式会社", "🔐 Vault", "50% off? #1/2+3=5"} {
		for _, account := range []string{
			"alice@example.com", "auth0|5f7c", "urn:user:42", "Jörg Müller", "田中 倫", "👩 root", "a/b?c#d%e&f=g+h;i", "%3A%20",
		} {
			kind, err := New(Config{Issuer: issuer})
			if err != nil {
				t.Fatal(err)
			}
			_, setup := begin(t, kind, factor.Account{Name: account}, factor.Request{})

			parsed, err := url.Parse(setup.URL)
			if err != nil {
				t.Errorf("%q, %q: %v", issuer, account, err)
				continue
			}
			if parsed.Scheme != "otpauth" || parsed.Host != "totp" || parsed.Path != "/"+issuer+":"+strings.ReplaceAll(account, ":", "") || parsed.Fragment != "" {
				t.Errorf("%q, %q: read back as %q, %q, %q, %q", issuer, account, parsed.Scheme, parsed.Host, parsed.Path, parsed.Fragment)
			}
			query, err := url.ParseQuery(parsed.RawQuery)
			if err != nil {
				t.Errorf("%q, %q: %v", issuer, account, err)
			}
			for name, want := range map[string]string{
				"secret": setup.Secret, "issuer": issuer, "algorithm": "SHA1", "digits": "6", "period": "30",
			} {
				if got := query[name]; len(got) != 1 || got[0] != want {
					t.Errorf("%q, %q: %s is %q, want %q", issuer, account, name, got, want)
				}
			}
			if len(query) != 5 {
				t.Errorf("%q, %q: parameters %v, want five", issuer, account, query)
			}
			if strings.Contains(setup.URL, "+") {
				t.Errorf("%q, %q: a plus sign in %s", issuer, account, setup.URL)
			}

			key, err := otp.NewKeyFromURL(setup.URL)
			if err != nil {
				t.Errorf("%q, %q: %v", issuer, account, err)
				continue
			}
			if key.Type() != "totp" || key.Issuer() != issuer || key.AccountName() != strings.ReplaceAll(account, ":", "") || key.Secret() != setup.Secret ||
				key.Period() != 30 || key.Digits() != otp.DigitsSix || key.Algorithm() != otp.AlgorithmSHA1 {
				t.Errorf("%q, %q: otp reads %s", issuer, account, key)
			}
		}
	}
}

func TestColonsAreLeftOutOfIssuerAndAccount(t *testing.T) {
	got := keyURI("Acme: Prod", "a:b", "JBSWY3DPEHPK3PXP")
	want := "otpauth://totp/Acme%20Prod:ab?secret=JBSWY3DPEHPK3PXP&issuer=Acme%20Prod&algorithm=SHA1&digits=6&period=30"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAnIssuerThatAppsCannotShowIsRefused(t *testing.T) {
	for _, issuer := range []string{"", "  ", "a\nb", "a\x00", "a\xff", "a\u202eb", ":", " : :", strings.Repeat("ä", 33)} {
		if kind, err := New(Config{Issuer: issuer}); err == nil {
			t.Errorf("%q: %v was accepted", issuer, kind)
		}
	}
	if _, err := New(Config{Issuer: strings.Repeat("ä", 32)}); err != nil {
		t.Errorf("the longest issuer: %v", err)
	}
}

func TestASkewBeyondTenStepsIsRefused(t *testing.T) {
	if _, err := New(Config{Issuer: "Acme", Skew: 10}); err != nil {
		t.Errorf("10: %v", err)
	}
	if _, err := New(Config{Issuer: "Acme", Skew: 11}); err == nil {
		t.Error("11 was accepted")
	}
}

func TestTheAccountIsLabelledByEmailThenByName(t *testing.T) {
	for _, c := range []struct{ email, name, want string }{
		{"alice@example.com", "subject-1", "alice@example.com"},
		{" alice@example.com ", "subject-1", "alice@example.com"},
		{"", "subject-1", "subject-1"},
		{"  ", "subject-1", "subject-1"},
		{"", "sub\x00ject\n1\xff\u202e", "subject1"},
	} {
		got, err := accountLabel(factor.Account{Name: c.name}, factor.Request{Email: c.email})
		if err != nil || got != c.want {
			t.Errorf("email %q, name %q: %q, %v, want %q", c.email, c.name, got, err, c.want)
		}
	}
}

func TestALabelThatCannotBeShownIsABadRequest(t *testing.T) {
	for _, c := range []struct{ email, name string }{
		{"a\nb@example.com", "alice"},
		{"a\xff@example.com", "alice"},
		{"\u202ea@example.com", "alice"},
		{"", ""},
		{"", "\x00\x01"},
	} {
		if got, err := accountLabel(factor.Account{Name: c.name}, factor.Request{Email: c.email}); !errors.Is(err, factor.ErrBadRequest) {
			t.Errorf("email %q, name %q: %q, %v, want ErrBadRequest", c.email, c.name, got, err)
		}
	}
}

func TestLongLabelsAreCutBetweenRunes(t *testing.T) {
	for _, c := range []struct {
		unit  string
		count int // how many of it fit
	}{{"a", 192}, {" a", 48}, {"ä", 32}, {"例", 21}, {"🔐", 16}} {
		got, err := accountLabel(factor.Account{Name: "x" + strings.Repeat(c.unit, 300)}, factor.Request{})
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.ValidString(got) {
			t.Errorf("%q: %q is cut inside a rune", c.unit, got)
		}
		if length := len(escape(got)); length > maxLabel || length <= maxLabel-12 {
			t.Errorf("%q: escaped to %d characters, want nearly %d", c.unit, length, maxLabel)
		}
		if count := strings.Count(got, c.unit); count != c.count && count != c.count-1 {
			t.Errorf("%q: %d of them, want about %d", c.unit, count, c.count)
		}
	}
}
