// Package mailtest is the mail server of tests that need none: it keeps what
// is sent.
package mailtest

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/mail"
)

// Box is a mail.Sender that keeps the mails, or fails. The zero value is ready
// for use, which may be concurrent.
type Box struct {
	mu    sync.Mutex
	mails []mail.Message
	fails error
	meet  func()
}

// Send implements mail.Sender.
func (b *Box) Send(ctx context.Context, message mail.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.meet != nil {
		b.meet()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.fails != nil {
		return b.fails
	}
	b.mails = append(b.mails, message)
	return nil
}

// During has meet called in the middle of each Send.
func (b *Box) During(meet func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.meet = meet
}

// Fail has Send fail with err, or not when it is nil.
func (b *Box) Fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails = err
}

// Mails are the mails so far.
func (b *Box) Mails() []mail.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]mail.Message(nil), b.mails...)
}

// Token is the token of the link in the latest mail.
func (b *Box) Token(t testing.TB) string {
	t.Helper()
	mails := b.Mails()
	if len(mails) == 0 {
		t.Fatal("no mail was sent")
	}
	_, rest, found := strings.Cut(mails[len(mails)-1].Text, "#token=")
	if !found {
		t.Fatal("the mail holds no link")
	}
	return strings.Fields(rest)[0]
}
