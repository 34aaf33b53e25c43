// Package mfa is the product: people enrol second factors, show them, and
// get assertions of it; the record is kept sealed in a store. It knows
// nothing of HTTP or of Caddy; any server can embed it.
//
// Everything about one person is one document. Each method of Service
// decides in a single Store.Update, so that two nodes, two tabs or a
// hundred copies of one request come to one outcome.
package mfa

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/nearcache"
	"github.com/caddymfa/caddy-mfa/mfa/store/storeclock"
)

// PendingLifetime is how long a setup waits for its confirmation, unless
// its kind of factor says otherwise.
const PendingLifetime = 10 * time.Minute

// Bounds of Config.BackupCodes.
const (
	MinBackupCodes     = 1
	MaxBackupCodes     = 50
	DefaultBackupCodes = 10
)

// Config is what a Service is made of.
type Config struct {
	// Store keeps the records. Required.
	Store store.Store
	// Fresh is how old what Live and Standing tell may be, by the clock of this
	// process, of what other nodes have written to a store.Shared; 0 means
	// DefaultFresh. What this process has written they see at once.
	Fresh time.Duration
	// Near is what Live and Standing read through, by NewNear: Services that
	// follow one another over the same store, with the same Keys and
	// AssertionIssuer, may share it. Whoever made it has to have it Run. Nil
	// means one of the Service's own, made of Store, Fresh and Stale.
	Near *nearcache.Cache
	// Stale is for how long Live goes on telling what was true last while the
	// store is plainly away; 0 means DefaultStale, less than Fresh means Fresh.
	Stale time.Duration
	// Unanswered is told of each reading for a gate that had to be refused,
	// as the store did not answer in time; nil means nobody is. It must not
	// block.
	Unanswered func(err error)
	// Keys seal the records; see LoadKeys. Required.
	Keys *seal.Keys
	// Kinds are the kinds of factor on offer, at most one of each type. At
	// least one is required.
	Kinds []factor.Kind
	// BackupCodes is the number of codes in a set; 0 means
	// DefaultBackupCodes.
	BackupCodes int
	// EnrollmentMaxAuthAge is how long ago a caller may have signed in to begin
	// a first factor; 0 means any time.
	EnrollmentMaxAuthAge time.Duration
	// StepUp says which factor changes what protects an account; "" means
	// StepUpStrongest.
	StepUp StepUp
	// Lockout is how wrong codes are answered; its zero value means the
	// defaults.
	Lockout Lockout
	// AssertionIssuer is the iss of assertions: the first public URL.
	// Required.
	AssertionIssuer string
	// Audience is the aud of assertions; none means AssertionIssuer.
	Audience []string
	// TokenLifetime is how long an assertion is good; 0 means
	// DefaultTokenLifetime. SessionLifetime is how long a person can go on
	// refreshing it without showing a factor again; 0 means
	// DefaultSessionLifetime.
	TokenLifetime   time.Duration
	SessionLifetime time.Duration
	// AdminRoles are the roles whose holders act on the other people of
	// their organization; none means DefaultAdminRoles.
	AdminRoles []string
	// Journal is told of security events; nil means nobody is.
	Journal Journal
	// Notifier tells people of changes by mail; nil means nobody does.
	Notifier Notifier
	// AddressSubjects reports whether an issuer's subjects are e-mail addresses,
	// which name the same person in any case; nil means that none are. Callers'
	// subjects must then be in lower case, as bearer.Identity has them.
	AddressSubjects func(issuer string) bool
	// Now is the clock of this node; nil means time.Now. Only the codes of
	// authenticator apps, and how old copies of documents are, go by it, where
	// there is a Clock.
	Now func() time.Time
	// Clock is that of the store, by which everything else goes; nil means Now.
	// While it is too far from Now, the Service reads and writes nothing, and
	// returns store.ErrUnavailable. Whoever made it has to have it measured.
	Clock *storeclock.Clock
}

// Defaults of Config.Fresh and Config.Stale.
const (
	DefaultFresh = nearcache.DefaultBound
	DefaultStale = time.Minute
)

// DefaultAdminRoles are the roles of Config.AdminRoles where none are given.
var DefaultAdminRoles = []string{"OWNER", "ADMINISTRATOR"}

// Service enrols factors, verifies them and keeps the record of them. It is
// safe for concurrent use, also by several processes over one store.
type Service struct {
	documents            documents
	signing              signing
	kinds                map[factor.Type]factor.Kind
	backupCodes          int
	enrollmentMaxAuthAge time.Duration
	stepUp               StepUp
	lockout              Lockout
	audience             []string
	tokenLifetime        time.Duration
	sessionLifetime      time.Duration
	adminRoles           []string
	journal              Journal
	notifier             Notifier
	addressSubjects      func(issuer string) bool
	now                  func() time.Time // of the store
	own                  func() time.Time // of this node
	// near has what gates ask with every request.
	near         *nearcache.Cache
	nearIsOwn    bool
	records      nearcache.View[*recent]
	seeFailed    atomic.Int64 // when See last failed, as Unix time in nanoseconds
	enforcements nearcache.View[bool]
}

// New makes a Service. It opens nothing that would have to be closed. Over a
// store.Shared, Run should go on beside it.
func New(config Config) (*Service, error) {
	if config.Store == nil || config.Keys == nil {
		return nil, errors.New("a store and keys are required")
	}
	if len(config.Kinds) == 0 {
		return nil, errors.New("at least one kind of factor is required")
	}
	if config.BackupCodes == 0 {
		config.BackupCodes = DefaultBackupCodes
	}
	if config.BackupCodes < MinBackupCodes || config.BackupCodes > MaxBackupCodes {
		return nil, fmt.Errorf("a set has %d to %d backup codes, not %d", MinBackupCodes, MaxBackupCodes, config.BackupCodes)
	}
	if config.EnrollmentMaxAuthAge < 0 {
		return nil, errors.New("the age of a sign-in cannot be negative")
	}
	if err := config.StepUp.Check(); err != nil {
		return nil, fmt.Errorf("step-up: %w", err)
	}
	lockout, err := config.Lockout.withDefaults()
	if err != nil {
		return nil, err
	}
	if config.AssertionIssuer == "" {
		return nil, errors.New("an issuer of assertions is required")
	}
	if len(config.Audience) == 0 {
		config.Audience = []string{config.AssertionIssuer}
	}
	tokenLifetime, sessionLifetime, err := Lifetimes(config.TokenLifetime, config.SessionLifetime)
	if err != nil {
		return nil, err
	}
	if len(config.AdminRoles) == 0 {
		config.AdminRoles = DefaultAdminRoles
	}
	if config.Journal == nil {
		config.Journal = nowhere{}
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	now := config.Now
	if config.Clock != nil {
		now = config.Clock.Now
	}
	near, own := config.Near, config.Near == nil
	if own {
		near = NewNear(config)
	}
	documents := documents{store: near.Store(), keys: config.Keys, clock: config.Clock}
	s := &Service{
		documents:            documents,
		kinds:                make(map[factor.Type]factor.Kind),
		backupCodes:          config.BackupCodes,
		enrollmentMaxAuthAge: config.EnrollmentMaxAuthAge,
		stepUp:               config.StepUp,
		lockout:              lockout,
		audience:             config.Audience,
		tokenLifetime:        tokenLifetime,
		sessionLifetime:      sessionLifetime,
		adminRoles:           config.AdminRoles,
		journal:              config.Journal,
		notifier:             config.Notifier,
		addressSubjects:      config.AddressSubjects,
		now:                  now,
		own:                  config.Now,
		near:                 near,
		nearIsOwn:            own,
		records:              nearcache.NewView(near, documents.recentOf),
		enforcements:         nearcache.NewView(near, documents.enforcementOf),
	}
	s.signing.documents, s.signing.now = documents, now
	s.signing.issuer, s.signing.lifetime = config.AssertionIssuer, tokenLifetime
	s.signing.near = nearcache.NewView(near, s.signing.open)
	for _, kind := range config.Kinds {
		if _, twice := s.kinds[kind.Type()]; twice || !kind.Type().Known() {
			return nil, fmt.Errorf("kind of factor %q is unknown or given twice", kind.Type())
		}
		s.kinds[kind.Type()] = kind
	}
	return s, nil
}

// NewNear makes a Config.Near of Store, Fresh, Stale, Unanswered and Now in
// config; the rest is not looked at.
func NewNear(config Config) *nearcache.Cache {
	if config.Stale == 0 {
		config.Stale = DefaultStale
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	return nearcache.New(nearcache.Config{
		Store: config.Store, Bound: config.Fresh, Stale: config.Stale, MaxBytes: recentBytes, Now: config.Now,
		Refused: config.Unanswered,
	})
}

// Run keeps what Live and Standing tell fresh, so that they need not wait for
// a store.Shared, until ctx ends. Over other stores, and where Config.Near was
// given, it returns at once.
func (s *Service) Run(ctx context.Context) {
	if s.nearIsOwn {
		s.near.Run(ctx)
	}
}

// kind returns the kind of factor that a request names.
func (s *Service) kind(t factor.Type) (factor.Kind, error) {
	if !t.Known() {
		return nil, ErrUnknownType
	}
	kind, ok := s.kinds[t]
	if !ok {
		return nil, ErrTypeUnavailable
	}
	return kind, nil
}
