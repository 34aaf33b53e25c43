package letter_test

import (
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/internal/letter"
)

func TestOnlyAnIPAddressIsShownAsOne(t *testing.T) {
	for input, want := range map[string]string{
		"203.0.113.7":             "203.0.113.7",
		"::ffff:203.0.113.7":      "203.0.113.7",
		"2001:DB8:0:0::1":         "2001:db8::1",
		"fe80::1%eth0":            "fe80::1",
		"fe80::1%https://evil.ex": "fe80::1",
		"":                        "",
		"203.0.113.7:80":          "",
		"203.0.113":               "",
		"010.0.0.1":               "",
		"203.0.113.7 evil.test":   "",
		"203.0.113.7\r\n":         "",
		"evil.test":               "",
	} {
		if got := letter.IP(input); got != want {
			t.Errorf("%q is shown as %q, want %q", input, got, want)
		}
	}
}

func TestDurationsAreToldInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second: "1 second", 45 * time.Second: "45 seconds", time.Minute: "1 minute", 90 * time.Second: "1 minute",
		10 * time.Minute: "10 minutes", time.Hour: "1 hour", 90 * time.Minute: "90 minutes", 24 * time.Hour: "24 hours",
	} {
		if got := letter.Duration(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}

func TestTimesAreToldInUTC(t *testing.T) {
	at := time.Date(2031, 5, 6, 1, 8, 9, 0, time.FixedZone("", 2*60*60))
	if got, want := letter.Time(at), "23:08 UTC on 5 May 2031"; got != want {
		t.Errorf("%s is %q, want %q", at, got, want)
	}
}
