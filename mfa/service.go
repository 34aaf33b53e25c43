// Package mfa is the product: people enrol second factors and confirm
// them, and the record of it is kept sealed in a store. It knows nothing
// of HTTP or of Caddy; any server can embed it.
//
// Everything about one person is one document. Each method of Service
// decides in a single Store.Update, so that two nodes, two tabs or a
// hundred copies of one request come to one outcome.
package mfa

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
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
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Service enrols factors and keeps the record of them. It is safe for
// concurrent use, also by several processes over one store.
type Service struct {
	documents            documents
	kinds                map[factor.Type]factor.Kind
	backupCodes          int
	enrollmentMaxAuthAge time.Duration
	now                  func() time.Time
}

// New makes a Service. It opens nothing that would have to be closed.
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
	if config.Now == nil {
		config.Now = time.Now
	}
	s := &Service{
		documents:            documents{store: config.Store, keys: config.Keys},
		kinds:                make(map[factor.Type]factor.Kind),
		backupCodes:          config.BackupCodes,
		enrollmentMaxAuthAge: config.EnrollmentMaxAuthAge,
		now:                  config.Now,
	}
	for _, kind := range config.Kinds {
		if _, twice := s.kinds[kind.Type()]; twice || !kind.Type().Known() {
			return nil, fmt.Errorf("kind of factor %q is unknown or given twice", kind.Type())
		}
		s.kinds[kind.Type()] = kind
	}
	return s, nil
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
