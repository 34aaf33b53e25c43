package mfa

// EventKind says what happened.
type EventKind string

// The security events that a Journal is told of.
const (
	EventSetupBegun        EventKind = "setup_begun"
	EventSetupFailed       EventKind = "setup_failed" // a wrong proof at a confirmation
	EventEnrolled          EventKind = "enrolled"
	EventVerified          EventKind = "verified"
	EventFailed            EventKind = "failed" // a wrong proof at a login
	EventLocked            EventKind = "locked" // code entry, by the failure before
	EventUnlocked          EventKind = "unlocked"
	EventClonedPasskey     EventKind = "cloned_passkey"
	EventLinkSent          EventKind = "link_sent"
	EventLinkApproved      EventKind = "link_approved"
	EventLinkDenied        EventKind = "link_denied"
	EventEnabled           EventKind = "enabled"
	EventDisabled          EventKind = "disabled"
	EventRemoved           EventKind = "removed"
	EventPrimaryChanged    EventKind = "primary_changed"
	EventBackupCodes       EventKind = "backup_codes_replaced"
	EventReset             EventKind = "reset"
	EventDeleted           EventKind = "deleted"
	EventRefreshed         EventKind = "refreshed"
	EventRefreshReused     EventKind = "refresh_reused"
	EventSignedOut         EventKind = "signed_out"
	EventEnforcementOn     EventKind = "enforcement_on"
	EventEnforcementOff    EventKind = "enforcement_off"
	EventSigningKeysMade   EventKind = "signing_keys_changed"
	EventSealingKeysStaged EventKind = "sealing_keys_staged" // and are not in use yet
	EventSealingKeysMade   EventKind = "sealing_keys_changed"
	EventStoreCopied       EventKind = "store_copied"    // another store onto this one
	EventStoreBackedUp     EventKind = "store_backed_up" // or part of it, where that broke off
	EventStoreRestored     EventKind = "store_restored"
)

// Event is one security event. It holds no secret.
type Event struct {
	Kind EventKind
	// Issuer and Subject are whom it is about, "" where it is about nobody.
	Issuer, Subject string
	// Organization is the one that an enforcement is about.
	Organization string
	// Method is a type of factor or MethodBackupCode, "" where none is
	// concerned.
	Method string
	// ActorKind is who did it. It is never "".
	ActorKind ActorKind
	// By is the subject of whom it was done by, when that is somebody else;
	// Operator for the operator's commands. A subject may read so too: it is
	// ActorKind that tells them apart.
	By string
	// Reason is why something was refused, "" otherwise.
	Reason string
	// Client is where the request came from.
	Client Client
}

// Operator is Event.By for what the operator's commands did.
const Operator = "operator"

// ActorKind says who did something.
type ActorKind string

// The kinds of actors.
const (
	// ActorPerson is who the event is about, as far as their access token, or a
	// link that was mailed to them, shows.
	ActorPerson ActorKind = "person"
	// ActorAdministrator is somebody whose token claims a role for acting on
	// others.
	ActorAdministrator ActorKind = "administrator"
	// ActorOperator is who runs the commands on the server.
	ActorOperator ActorKind = "operator"
)

// Journal is told of security events. Record is called concurrently, after
// the event has been decided, and must not wait for anything slow.
type Journal interface {
	Record(Event)
}

// nowhere is a Journal that nobody reads.
type nowhere struct{}

func (nowhere) Record(Event) {}

// byOperator makes an event about nobody, by the operator.
func byOperator(kind EventKind) Event {
	return Event{Kind: kind, ActorKind: ActorOperator, By: Operator}
}

// event makes an event about the caller, by themselves.
func (c Caller) event(kind EventKind, method string) Event {
	return Event{Kind: kind, ActorKind: ActorPerson, Issuer: c.Issuer, Subject: c.Subject, Method: method, Client: c.Client}
}

// record is Journal.Record for an event about the caller.
func (s *Service) record(caller Caller, kind EventKind, method string) {
	s.journal.Record(caller.event(kind, method))
}
