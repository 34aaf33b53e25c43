package mail

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"time"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"

	"github.com/caddymfa/caddy-mfa/mfa/internal/mailbox"
)

// maxSubject is the longest subject in bytes: a word of it stands in one line,
// which may have 998 (RFC 5322, section 2.1.1).
const maxSubject = 500

// compose renders msg as an Internet message (RFC 5322): text and HTML as
// alternatives of each other (RFC 2046 section 5.1.4), quoted-printable,
// so that no line is too long and every byte is ASCII. It refuses a
// message that could smuggle a header in.
func compose(from netmail.Address, msg Message, date time.Time) ([]byte, error) {
	if err := checkMessage(msg); err != nil {
		return nil, err
	}
	_, domain, _ := cutAddress(from.Address)

	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(&from)
	m.ToMailAddress(&netmail.Address{Address: msg.To})
	// A text that looks like an encoded word would be decoded (RFC 2047,
	// section 6.2), and the composer leaves ASCII as it is.
	m.Subject(strings.ReplaceAll(msg.Subject, "=?", "= ?"))
	m.SetDateWithValue(date)
	m.SetMessageIDWithValue(rand.Text() + "@" + domain)
	// Keeps vacation responders quiet (RFC 3834 section 5).
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetBodyString(gomail.TypeTextPlain, msg.Text)
	m.AddAlternativeString(gomail.TypeTextHTML, msg.HTML)

	var buffer bytes.Buffer
	if _, err := m.WriteTo(&buffer); err != nil {
		return nil, fmt.Errorf("composing mail: %w", err)
	}
	return buffer.Bytes(), nil
}

// checkMessage refuses a message that cannot be sent as it stands. Its
// errors name the field and not its content.
func checkMessage(msg Message) error {
	if to, err := mailbox.ParseLocal(msg.To); err != nil || string(to) != msg.To {
		return errors.New("composing mail: the recipient is not a bare address in ASCII, such as alice@example.com")
	}
	if msg.Subject == "" {
		return errors.New("composing mail: the subject is empty")
	}
	if len(msg.Subject) > maxSubject {
		return fmt.Errorf("composing mail: the subject is longer than %d bytes", maxSubject)
	}
	if err := checkHeaderText(msg.Subject); err != nil {
		return fmt.Errorf("composing mail: the subject %w", err)
	}
	if msg.Text == "" || msg.HTML == "" {
		return errors.New("composing mail: it needs both a text and an HTML body")
	}
	if !utf8.ValidString(msg.Text) || !utf8.ValidString(msg.HTML) {
		return errors.New("composing mail: a body is not valid UTF-8")
	}
	return nil
}
