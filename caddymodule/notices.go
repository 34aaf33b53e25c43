package caddymodule

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/notice"
	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

// maxQueuedNotices is how many notices may wait for the mail server.
const maxQueuedNotices = 256

// noticeTimeout is how long the mail server may take for one.
const noticeTimeout = 30 * time.Second

// notices mails people what has changed about their factors, one after
// the other. It implements mfa.Notifier.
type notices struct {
	mailer *notice.Mailer
	queue  queue[mfa.Notice]
	log    *zap.Logger
}

// newNotices makes notices, which need not be stopped: what waits is sent also
// when the configuration is replaced.
func newNotices(mailer *notice.Mailer, log *zap.Logger) *notices {
	n := &notices{mailer: mailer, log: log}
	n.queue = queue[mfa.Notice]{place: panics.Notices, most: maxQueuedNotices, hand: n.deliver}
	return n
}

// notifier returns what mails notices, nil where no mail is configured.
func (a *App) notifier() (*notices, error) {
	if a.MagicLink == nil {
		return nil, nil
	}
	sender, err := a.MagicLink.sender(hostOf(a.PublicURLs[0]), a.log)
	if err != nil {
		return nil, err
	}
	mailer, err := notice.New(notice.Config{
		Sender: sender, Issuer: a.Issuer, PageURL: a.PublicURLs[0] + a.Prefix + "/", Local: a.MagicLink.Directory != "",
	})
	if err != nil {
		return nil, err
	}
	return newNotices(mailer, activeLimited), nil
}

// Notify implements mfa.Notifier.
func (n *notices) Notify(m mfa.Notice) {
	if !n.queue.put(m) {
		n.log.Error("notice dropped: the mail server does not keep up")
	}
}

// deliver sends m to everybody that it is for.
func (n *notices) deliver(m mfa.Notice) {
	for _, to := range m.To {
		panics.Do(panics.Notices, func() { n.send(m, to) })
	}
}

func (n *notices) send(m mfa.Notice, to string) {
	ctx, cancel := context.WithTimeout(context.Background(), noticeTimeout)
	defer cancel()
	event := noticeEvents[m.Kind]
	if m.Replaced {
		event = notice.Replaced
	}
	err := n.mailer.Send(ctx, notice.Notice{
		To: to, Event: event, Method: methodNames[m.Method], Name: m.Name, At: m.At,
		IP: m.Client.IP, UserAgent: m.Client.UserAgent, ByAdministrator: m.ByOther,
	})
	if err != nil {
		n.log.Warn("notice not sent", zap.Error(err))
	}
}

// noticeEvents are what mails call the events.
var noticeEvents = map[mfa.EventKind]notice.Event{
	mfa.EventEnrolled:    notice.Added,
	mfa.EventRemoved:     notice.Removed,
	mfa.EventDisabled:    notice.Disabled,
	mfa.EventEnabled:     notice.Enabled,
	mfa.EventReset:       notice.Reset,
	mfa.EventBackupCodes: notice.BackupCodes,
}

// methodNames are what mails call the types of factor.
var methodNames = map[factor.Type]string{
	factor.TypeTOTP:      "Authenticator app",
	factor.TypeMagicLink: "Magic link",
	factor.TypePasskey:   "Passkey",
}
