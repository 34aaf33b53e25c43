// Package notice mails people what has changed about the second factors
// of their account, so that they notice a change that was not theirs. A
// notice holds no secret, and no link but that of the product's own page.
package notice

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/internal/letter"
	"github.com/caddymfa/caddy-mfa/mfa/internal/mailbox"
	"github.com/caddymfa/caddy-mfa/mfa/mail"
)

// Event is what has changed.
type Event string

// The events that people are told of.
const (
	Added       Event = "added"        // a factor was confirmed
	Replaced    Event = "replaced"     // a factor was confirmed, and took the place of another
	Removed     Event = "removed"      // a factor was deleted
	Enabled     Event = "enabled"      // a method was put back into use
	Disabled    Event = "disabled"     // a method was put out of use
	Reset       Event = "reset"        // all factors were deleted
	BackupCodes Event = "backup_codes" // a new set of backup codes was made
)

// Notice is one change, as one person is told of it.
type Notice struct {
	// To is the address that the notice goes to.
	To    string
	Event Event
	// Method is the kind of factor in words of the product's own, such as
	// "Passkey"; "" when all kinds or none are concerned.
	Method string
	// Name is what the factor is called. It is shown only where it reads
	// as an identifier or an e-mail address.
	Name string
	At   time.Time
	// IP and UserAgent are where the change was asked for. The mail shows
	// what it recognises of them, and nothing when ByAdministrator is set:
	// they are then not the person's.
	IP, UserAgent string
	// ByAdministrator says that somebody else than the person did it.
	ByAdministrator bool
}

// Config says how notices are sent.
type Config struct {
	// Sender takes the mails.
	Sender mail.Sender
	// Issuer is the name of the service, as mails show it.
	Issuer string
	// PageURL is the absolute URL, http or https, of the page where people
	// look after their factors, such as https://example.com/mfa/. It must
	// come from the configuration, never from a request.
	PageURL string
	// Local allows addresses at localhost and at hosts without a domain, for a
	// Sender whose mail stays on this machine.
	Local bool
}

// Mailer sends notices. It may be used concurrently.
type Mailer struct {
	sender  mail.Sender
	issuer  string
	pageURL string
	parse   func(address string) (mailbox.Address, error)
}

// New checks config and returns the mailer.
func New(config Config) (*Mailer, error) {
	if config.Sender == nil {
		return nil, errors.New("notice: a mail sender is needed: configure smtp or a directory")
	}
	issuer, err := letter.Issuer(config.Issuer)
	if err != nil {
		return nil, fmt.Errorf("notice: %w", err)
	}
	page, err := letter.PageURL(config.PageURL)
	if err != nil {
		return nil, fmt.Errorf("notice: %w", err)
	}
	mailer := &Mailer{sender: config.Sender, issuer: issuer, pageURL: page, parse: mailbox.Parse}
	if config.Local {
		mailer.parse = mailbox.ParseLocal
	}
	return mailer, nil
}

// Send mails the notice, once. It returns an error, and sends nothing, for
// an address that cannot be used and for an unknown event; otherwise what
// mail.Sender returns. Errors do not repeat the address.
func (m *Mailer) Send(ctx context.Context, n Notice) error {
	to, err := m.parse(n.To)
	if err != nil {
		return fmt.Errorf("sending notice: the address cannot be used: %w", err)
	}
	msg, err := m.message(to, n)
	if err != nil {
		return fmt.Errorf("sending notice: %w", err)
	}
	if err := m.sender.Send(ctx, msg); err != nil {
		return fmt.Errorf("sending notice: %w", err)
	}
	return nil
}
