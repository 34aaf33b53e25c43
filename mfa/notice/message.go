package notice

import (
	_ "embed"
	"fmt"

	"github.com/caddymfa/caddy-mfa/mfa/internal/letter"
	"github.com/caddymfa/caddy-mfa/mfa/internal/mailbox"
	"github.com/caddymfa/caddy-mfa/mfa/mail"
)

//go:embed notice.txt
var noticeText string

//go:embed notice.html
var noticeHTML string

var template = letter.MustParse(noticeText, noticeHTML)

// words are what a mail says of an event: title is also its subject,
// before the name of the service.
var words = map[Event]struct{ title, effect string }{
	Added:       {"A second factor was added to your account", "It can now be used to confirm that it is you who signs in."},
	Replaced:    {"A second factor of your account was replaced", "From now on the new one counts. The one before no longer works."},
	Removed:     {"A second factor was removed from your account", "It can no longer be used to sign in."},
	Enabled:     {"A second factor of your account was turned on", "It can be used to sign in again."},
	Disabled:    {"A second factor of your account was turned off", "It cannot be used to sign in until it is turned on again."},
	Reset:       {"All second factors of your account were removed", "Your backup codes no longer work either."},
	BackupCodes: {"Your account has new backup codes", "The older ones no longer work."},
}

// data is what the templates show; what is "" is left out.
type data struct {
	Issuer  string
	Title   string
	Effect  string
	Method  string
	Name    string
	When    string
	IP      string
	Device  string
	PageURL string
	// ByAdministrator replaces IP and Device.
	ByAdministrator bool
}

func (m *Mailer) message(to mailbox.Address, n Notice) (mail.Message, error) {
	said, ok := words[n.Event]
	if !ok {
		return mail.Message{}, fmt.Errorf("unknown event %q", n.Event)
	}
	shown := data{
		Issuer:          m.issuer,
		Title:           said.title,
		Effect:          said.effect,
		Method:          n.Method,
		Name:            letter.Name(n.Name),
		When:            letter.Time(n.At),
		PageURL:         m.pageURL,
		ByAdministrator: n.ByAdministrator,
	}
	if !n.ByAdministrator {
		shown.IP, shown.Device = letter.IP(n.IP), letter.Device(n.UserAgent)
	}
	return template.Message(to, said.title+" - "+m.issuer, shown)
}
