package mfa

import (
	"slices"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/internal/mailbox"
	"github.com/caddymfa/caddy-mfa/mfa/magiclink"
)

// Notice is what a person is told by mail when what protects their account
// has changed.
type Notice struct {
	// To are the addresses that are known of the person, and those that were
	// until this change, or until a short time ago.
	To   []string
	Kind EventKind
	// Replaced says, of a factor that was enrolled, that it took the place of
	// another one of its type.
	Replaced bool
	// Method is the type of the factor, "" when all of it is concerned.
	Method factor.Type
	// Name is what the factor is called.
	Name   string
	At     time.Time
	Client Client
	// ByOther says that somebody else than the person did it.
	ByOther bool
}

// Notifier tells people of changes. Notify returns at once; mail that
// cannot be sent undoes nothing.
type Notifier interface {
	Notify(Notice)
}

// Limits that keep changes from being a way to fill a mailbox. Notices of
// anything but factors that come or go have a part of the whole, so that
// nobody can use it up before adding a factor that its owner should be told
// of.
var (
	noticeLimit      = mailLimit{20, time.Hour}
	otherNoticeLimit = mailLimit{10, time.Hour}
)

// tellsOfFactors are the kinds of events that a factor comes or goes by.
var tellsOfFactors = map[EventKind]bool{
	EventEnrolled: true, EventRemoved: true, EventReset: true, EventEnabled: true, EventDisabled: true,
}

// formerEmail is an address that the person's tokens claimed before. It is told
// of changes too: whoever takes over the login and changes the address there
// would otherwise get the notices instead of the owner.
type formerEmail struct {
	Address string    `json:"address"`
	Until   time.Time `json:"until"` // when it is no longer told
}

// Bounds of user.FormerEmails. Where there are as many as are kept, the newest
// is not: further changes of the address do not push the owner's out.
const (
	formerEmailTime = 7 * 24 * time.Hour
	maxFormerEmails = 4
)

// notice writes down that the person is to be told of a change, and returns
// what to tell. It is nil when no address is known or they were told often
// enough. Also are addresses that the change has taken out of the record.
func (u *user) notice(kind EventKind, method factor.Type, name string, now time.Time, also ...string) *Notice {
	var to []string
	seen := make(map[string]bool)
	for _, address := range append(u.addresses(now), also...) {
		if key := mailbox.Fold(address); address != "" && !seen[key] {
			seen[key] = true
			to = append(to, address)
		}
	}
	if len(to) == 0 {
		return nil
	}
	sent, err := noticeLimit.add(u.Notices, now)
	if err != nil {
		return nil
	}
	if !tellsOfFactors[kind] {
		others, err := otherNoticeLimit.add(u.OtherNotices, now)
		if err != nil {
			return nil
		}
		u.OtherNotices = others
	}
	u.Notices = sent
	return &Notice{To: to, Kind: kind, Method: method, Name: name, At: now}
}

// addresses are those that the person is told at, which may be the same.
func (u *user) addresses(now time.Time) []string {
	all := []string{u.Email}
	for _, former := range u.FormerEmails {
		if now.Before(former.Until) {
			all = append(all, former.Address)
		}
	}
	for _, state := range u.states(factor.TypeMagicLink) {
		if address, err := magiclink.Address(state); err == nil {
			all = append(all, address)
		}
	}
	return all
}

// claimsEmail keeps the address that today's token claims, and those before it.
func (u *user) claimsEmail(address string, now time.Time) {
	if address == "" {
		return
	}
	if u.Email != "" && mailbox.Fold(u.Email) != mailbox.Fold(address) {
		u.claimedEmail(u.Email, now)
	}
	u.Email = address
}

// claimedEmail keeps that the tokens claimed address until now.
func (u *user) claimedEmail(address string, now time.Time) {
	until := now.Add(formerEmailTime)
	u.FormerEmails = slices.DeleteFunc(u.FormerEmails, func(f formerEmail) bool { return !now.Before(f.Until) })
	same := func(f formerEmail) bool { return mailbox.Fold(f.Address) == mailbox.Fold(address) }
	if i := slices.IndexFunc(u.FormerEmails, same); i >= 0 {
		u.FormerEmails[i].Until = until
	} else if len(u.FormerEmails) < maxFormerEmails {
		u.FormerEmails = append(u.FormerEmails, formerEmail{Address: address, Until: until})
	}
}

// tell hands over what notice made.
func (s *Service) tell(notices []*Notice, client Client, byOther bool) {
	if s.notifier == nil {
		return
	}
	for _, n := range notices {
		if n != nil {
			n.Client, n.ByOther = client, byOther
			s.notifier.Notify(*n)
		}
	}
}
