package mail

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/wneessen/go-mail/smtp"
)

// mechanism is one way to authenticate (RFC 4954).
type mechanism struct {
	name string
	// clear says that it may be used without TLS: the password itself does
	// not cross the wire.
	clear bool
	auth  func(username, password, host string) smtp.Auth
}

// mechanisms stand in order of preference. The -PLUS variants of SCRAM
// are left out: what they guard against, a false server inside TLS, the
// certificate already excludes. CRAM-MD5 stands last because servers that
// offer it must keep the password in clear.
var mechanisms = []mechanism{
	{"SCRAM-SHA-256", true, func(u, p, _ string) smtp.Auth { return smtp.ScramSHA256Auth(u, p) }},
	{"SCRAM-SHA-1", true, func(u, p, _ string) smtp.Auth { return smtp.ScramSHA1Auth(u, p) }},
	{"PLAIN", false, func(u, p, host string) smtp.Auth { return smtp.PlainAuth("", u, p, host, false) }},
	{"LOGIN", false, func(u, p, host string) smtp.Auth { return smtp.LoginAuth(u, p, host, false) }},
	{"CRAM-MD5", true, func(u, p, _ string) smtp.Auth { return smtp.CRAMMD5Auth(u, p) }},
}

// authenticate uses the best mechanism that the server offers.
func (s *SMTP) authenticate(client *smtp.Client) error {
	hasAuth, offer := client.Extension("AUTH")
	if !hasAuth {
		return errors.New("the server does not offer authentication: leave the credentials out, or use its submission port")
	}
	offered := strings.Fields(strings.ToUpper(offer))
	for _, m := range mechanisms {
		if slices.Contains(offered, m.name) && (m.clear || s.mode != NoTLS) {
			return client.Auth(m.auth(s.username, s.password, s.host))
		}
	}
	if s.mode == NoTLS {
		return fmt.Errorf("without TLS the password may only be used with SCRAM or CRAM-MD5, and the server offers %s",
			strings.Join(offered, ", "))
	}
	return fmt.Errorf("none of the mechanisms that the server offers is supported: %s", strings.Join(offered, ", "))
}
