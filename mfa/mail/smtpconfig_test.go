package mail

import (
	"strings"
	"testing"
)

func TestABadConfigurationIsRefusedWithTheMend(t *testing.T) {
	for _, test := range []struct {
		name   string
		config SMTPConfig
		want   string
	}{
		{"no port", SMTPConfig{Addr: "mail.example.com", From: "a@example.com"}, "mail.example.com:587"},
		{"no host", SMTPConfig{Addr: ":587", From: "a@example.com"}, "host is missing"},
		{"bad port", SMTPConfig{Addr: "mail.example.com:0", From: "a@example.com"}, "1 to 65535"},
		{"named port", SMTPConfig{Addr: "mail.example.com:smtp", From: "a@example.com"}, "1 to 65535"},
		{"no sender", SMTPConfig{Addr: "mail.example.com:587"}, "Acme <no-reply@example.com>"},
		{"two senders", SMTPConfig{Addr: "mail.example.com:587", From: "a@example.com, b@example.com"}, "parsing from"},
		{"line break in the sender", SMTPConfig{Addr: "mail.example.com:587", From: "A\r\nBcc: b@example.com <a@example.com>"}, "parsing from"},
		{"line break encoded in the sender", SMTPConfig{Addr: "mail.example.com:587", From: "=?utf-8?q?A=0D=0AB?= <a@example.com>"}, "line break"},
		{"quoted sender", SMTPConfig{Addr: "mail.example.com:587", From: `"a b"@example.com`}, "character other"},
		{"unknown mode", SMTPConfig{Addr: "mail.example.com:587", From: "a@example.com", TLS: "ssl"}, "starttls, implicit or none"},
		{"no password", SMTPConfig{Addr: "mail.example.com:587", From: "a@example.com", Username: "u"}, "needed together"},
		{"no username", SMTPConfig{Addr: "mail.example.com:587", From: "a@example.com", Password: "p"}, "needed together"},
		{"credentials in clear", SMTPConfig{Addr: "mail.example.com:25", From: "a@example.com", Username: "u", Password: "s3cr3t", TLS: NoTLS}, "may not travel without TLS"},
		{"credentials in clear to a private address", SMTPConfig{Addr: "10.0.0.1:25", From: "a@example.com", Username: "u", Password: "s3cr3t", TLS: NoTLS}, "may not travel without TLS"},
		{"negative timeout", SMTPConfig{Addr: "mail.example.com:25", From: "a@example.com", Timeout: -1}, "negative"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := NewSMTP(test.config)
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
			if strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("error %q holds the password", err)
			}
		})
	}
}

func TestCredentialsWithoutTLSAreAcceptedOnLoopback(t *testing.T) {
	for _, host := range []string{"localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"} {
		if _, err := NewSMTP(SMTPConfig{Addr: host + ":25", From: "a@example.com", Username: "u", Password: "p", TLS: NoTLS}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}
