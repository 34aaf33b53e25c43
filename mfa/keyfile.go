package mfa

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/storeclock"
)

// KeyPoll is how often a node should call KeyFile.Follow.
const KeyPoll = 5 * time.Second

// KeyFile keeps the sealing keys of one node in step with its key file and
// with the store that all nodes share, and changes them:
//
//  1. Stage adds a new pair of keys to the file. The store asks all nodes
//     whether they have it; the operator copies the file to those that do not.
//  2. Promote takes the pair into use, by one Update of the document that
//     every node follows. Older keys still open what they have sealed.
//  3. Reseal seals the documents anew.
//  4. Retire removes the older keys from the file once nothing needs them.
//
// Each step can be repeated, by any node, after whatever has interrupted it.
type KeyFile struct {
	documents documents
	config    KeyFileConfig
	now       func() time.Time // of the store

	// changing is held throughout a step of a change, so that they come one
	// after the other.
	changing sync.Mutex
	// taking is held while the file, or which of its keys are in use, is
	// changed or followed. Nobody holds it for as long as it takes to go
	// through all documents: the node would miss that the store was closed.
	taking  sync.Mutex
	marked  nodeMark  // what this node last said of itself
	saidAt  time.Time // when that was, by the clock of this node
	seen    sightings
	markKey string
}

// KeyFileConfig is what a KeyFile is made of.
type KeyFileConfig struct {
	// Store keeps the records, and Keys seal them; see LoadKeys. Required.
	Store store.Store
	Keys  *seal.Keys
	// Path is where Keys were loaded from. Required.
	Path string
	// Node names this node to the operator.
	Node string
	// Shared says that other nodes may use the store too.
	Shared bool
	// TokenLifetime is Config.TokenLifetime.
	TokenLifetime time.Duration
	// Journal is told of changes; nil means nobody is.
	Journal Journal
	// Now is the clock of this node; nil means time.Now. How long this node has
	// seen what others say of their keys goes by it.
	Now func() time.Time
	// Clock is that of the store, by which changes are dated; nil means Now.
	Clock *storeclock.Clock
}

// NewKeyFile makes a KeyFile.
func NewKeyFile(config KeyFileConfig) (*KeyFile, error) {
	if config.Store == nil || config.Keys == nil || config.Path == "" {
		return nil, errors.New("a store, keys and their path are required")
	}
	var err error
	if config.TokenLifetime, _, err = Lifetimes(config.TokenLifetime, 0); err != nil {
		return nil, err
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
	return &KeyFile{
		documents: documents{store: config.Store, keys: config.Keys},
		config:    config,
		now:       now,
		markKey:   markPrefix + newID(),
	}, nil
}

// Followed tells what a call of Follow has changed.
type Followed struct {
	File bool // the file was read again, and holds other keys
	Use  bool // other keys are in use
}

// Follow reads the key file again, where it has changed, and takes the keys
// into use that the store says are. ErrKeyMismatch is returned when the node
// lacks them, ErrMoved or ErrUnfinishedCopy when the store is not to be used:
// it then neither reads nor writes records, until a later call finds that
// changed. A file that is damaged, or lacks the key in use,
// is not taken over.
func (k *KeyFile) Follow(ctx context.Context) (f Followed, err error) {
	k.taking.Lock()
	defer k.taking.Unlock()
	before := k.documents.keys.InUse()
	changed, fileErr := k.reload()
	f.File = changed
	state, err := k.state(ctx)
	if errors.Is(err, errNoCheck) {
		k.documents.keys.Stop(err)
	}
	if err != nil {
		return f, errors.Join(fileErr, err)
	}
	if err := compare(k.documents.keys, state.check, k.config.Path); err != nil {
		return f, errors.Join(fileErr, err)
	}
	f.Use = k.documents.keys.InUse() != before
	if state.copied {
		if err := k.recordCopy(ctx); err != nil {
			return f, errors.Join(fileErr, err)
		}
	}
	if state.rotation != nil {
		err = k.mark(ctx, *state.rotation)
	}
	return f, errors.Join(fileErr, err)
}

// changeFile changes the file and takes over what it then holds.
func (k *KeyFile) changeFile(change func(path string) error) error {
	k.taking.Lock()
	defer k.taking.Unlock()
	if err := change(k.config.Path); err != nil {
		return err
	}
	_, err := k.reload()
	return err
}

// reload takes over what the file holds now. The caller holds k.taking.
func (k *KeyFile) reload() (changed bool, err error) {
	loaded, err := seal.Load(k.config.Path)
	if err != nil {
		return false, err
	}
	keys := k.documents.keys
	if equal(loaded.Sealing(), keys.Sealing()) && equal(loaded.Hashing(), keys.Hashing()) {
		return false, nil
	}
	if err := keys.Adopt(loaded); err != nil {
		return false, fmt.Errorf("reading %s again: %w: going on with the keys that it held before", k.config.Path, err)
	}
	return true, nil
}

func equal(a, b []seal.KeyID) bool { return fmt.Sprint(a) == fmt.Sprint(b) }
