package passkey

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

func TestRelyingPartiesThatBrowsersAcceptAreAccepted(t *testing.T) {
	for _, c := range []struct{ rpID, origin, serialized string }{
		{"example.com", "https://example.com", "https://example.com"},
		{"example.com", "https://a.b.example.com", "https://a.b.example.com"},
		{"example.com", "https://Example.COM:443", "https://example.com"},
		{"example.com", "https://example.com:8443", "https://example.com:8443"},
		{"login.example.co.uk", "https://login.example.co.uk", "https://login.example.co.uk"},
		{"me.github.io", "https://me.github.io", "https://me.github.io"},
		{"xn--mller-kva.example", "https://xn--mller-kva.example", "https://xn--mller-kva.example"},
		{"localhost", "http://localhost:8080", "http://localhost:8080"},
		{"localhost", "https://localhost", "https://localhost"},
		{"app.localhost", "http://app.localhost:80", "http://app.localhost"},
		{"idp.internal", "https://sso.idp.internal", "https://sso.idp.internal"},
	} {
		kind, err := New(Config{RPID: c.rpID, RPName: "Acme", Origins: []string{c.origin}})
		if err != nil {
			t.Errorf("%s at %s: %v", c.rpID, c.origin, err)
		} else if !slices.Equal(kind.relyingParty.Config.RPOrigins, []string{c.serialized}) || kind.origin != c.serialized {
			t.Errorf("%s at %s: origins %q, want %q", c.rpID, c.origin, kind.relyingParty.Config.RPOrigins, c.serialized)
		}
	}
}

func TestRelyingPartiesThatBrowsersRefuseAreRefused(t *testing.T) {
	for _, c := range []struct{ rpID, origin, says string }{
		{"", "https://example.com", "relying party ID is empty"},
		{"Example.com", "https://example.com", "capital letters"},
		{"https://example.com", "https://example.com", "bare domain"},
		{"example.com:443", "https://example.com", "bare domain"},
		{"example.com/x", "https://example.com", "bare domain"},
		{"127.0.0.1", "https://example.com", "IP address"},
		{"::1", "https://example.com", "IP address"},
		{"münchen.example", "https://example.com", "ASCII"},
		{"intranet", "https://intranet", "not a domain"},
		{"*.example.com", "https://a.example.com", ""},
		{"example..com", "https://example.com", "not a domain"},
		{"exa mple.com", "https://example.com", "not a domain"},

		{"example.com", "https://badexample.com", "does not belong"},
		{"example.com", "https://example.com.evil.test", "does not belong"},
		{"login.example.com", "https://example.com", "does not belong"},
		{"co.uk", "https://example.co.uk", "public suffix"},
		{"github.io", "https://me.github.io", "public suffix"},
		{"localhost", "http://app.localhost", "public suffix"},

		{"example.com", "", "scheme://host"},
		{"example.com", "example.com", "scheme://host"},
		{"example.com", "https://", "scheme://host"},
		{"example.com", "https://example.com/", "final slash"},
		{"example.com", "https://example.com/login", "without path"},
		{"example.com", "https://example.com?x=1", "query"},
		{"example.com", "https://example.com#x", "scheme://host"},
		{"example.com", "https://user@example.com", "user"},
		{"example.com", "https://example.com:", "scheme://host"},
		{"example.com", "https://example.com:0", "port"},
		{"example.com", "https://example.com:65536", "port"},
		{"example.com", "https://exa%6Dple.com", "scheme://host"},
		{"example.com", "https://127.0.0.1", "IP address"},
		{"example.com", "https://[::1]:443", "IP address"},
		{"example.com", "http://example.com", "not secure"},
		{"localhost", "http://localhost.evil.test", "not secure"},
		{"example.com", "ftp://example.com", "give https"},
		{"example.com", "android:apk-key-hash:abc", "SHA-256 hash"},
		{"example.com", "android:apk-key-hash:" + strings.Repeat("A", 43) + "=", "SHA-256 hash"},
		{"example.com", "android:apk-key-hash:" + strings.Repeat("A", 43), "no origin of a site"},
		{"example.com", "android:other:" + strings.Repeat("A", 43), "scheme://host"},
	} {
		_, err := New(Config{RPID: c.rpID, RPName: "Acme", Origins: []string{c.origin}})
		if err == nil {
			t.Errorf("%q at %q was accepted", c.rpID, c.origin)
		} else if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q at %q: %q does not say %q", c.rpID, c.origin, err, c.says)
		}
	}
}

func TestOneBadOriginAmongGoodOnesIsRefused(t *testing.T) {
	_, err := New(Config{RPID: "example.com", RPName: "Acme", Origins: []string{"https://example.com", "https://example.org"}})
	if err == nil || !strings.Contains(err.Error(), "example.org") {
		t.Errorf("got %v", err)
	}
}

func TestOtherBadOptionsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no origins":              func(c *Config) { c.Origins = nil },
		"no name":                 func(c *Config) { c.RPName = "" },
		"a blank name":            func(c *Config) { c.RPName = " " },
		"a name with a line feed": func(c *Config) { c.RPName = "Ac\nme" },
		"a long name":             func(c *Config) { c.RPName = strings.Repeat("a", 65) },
		"unknown verification":    func(c *Config) { c.UserVerification = "Required" },
		"a negative lifetime":     func(c *Config) { c.Lifetime = -time.Second },
		"too short a lifetime":    func(c *Config) { c.Lifetime = time.Second },
		"too long a lifetime":     func(c *Config) { c.Lifetime = 25 * time.Hour },
	} {
		c := config()
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if got := newKind(t, nil).Type(); got != factor.TypePasskey {
		t.Errorf("type %q", got)
	}
}

// An app that its operator has listed uses the passkeys of the site.
func TestTheOriginOfAListedAppIsAccepted(t *testing.T) {
	app := "android:apk-key-hash:" + strings.Repeat("A", 42) + "E"
	key := es256Signer(t)
	for _, listed := range []bool{true, false} {
		kind := newKind(t, func(c *Config) {
			if listed {
				c.Origins = append([]string{app}, c.Origins...)
			}
		})
		if strings.HasPrefix(kind.origin, "android:") {
			t.Errorf("clients are told the origin %s", kind.origin)
		}
		holder := holderOf(t, kind, 0, 0, key)
		options := beginLogin(t, kind, holder)
		for origin, good := range map[string]bool{app: listed, strings.ToUpper(app): false, app[:len(app)-1] + "A": false, "https://login.example.com": true} {
			answer := honestAssertion(t, options, holder.Credentials[0], key)
			answer.origin = origin
			if _, err := kind.VerifyLogin(holder, options.Challenge, answer.credential(t)); (err == nil) != good {
				t.Errorf("listed %v: %s: %v", listed, origin, err)
			}
		}
	}
}
