package mfa

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

const (
	// rotationKey is the document of a new pair that is not in use yet.
	rotationKey = sealPrefix + "rotation"

	// markPrefix is that of the documents in which nodes say, during a
	// rotation, whether they have the new pair.
	markPrefix = sealPrefix + "node/"
)

// rotation is a pair that was staged.
type rotation struct {
	Pair seal.Pair `json:"pair"`
	At   time.Time `json:"at"`
	Node string    `json:"node"` // the one whose file got it
}

// nodeMark is what a node says of itself.
type nodeMark struct {
	Node string    `json:"node"`
	Pair seal.Pair `json:"pair"` // the one that it was asked for
	Has  bool      `json:"has"`
	At   time.Time `json:"at"`
}

const (
	// markEvery is how often a node repeats its mark, markFresh for how long
	// another node may see it unchanged before it takes the first for gone.
	markEvery = 20 * time.Second
	markFresh = 2 * time.Minute

	// markWait is how long the marks of all nodes take to come in.
	markWait = 3 * KeyPoll
)

// keyState is what the store says of the keys.
type keyState struct {
	check    []byte
	since    time.Time // of the pair in use, zero for the first
	rotation *rotation
	// settled and staged say how long this node has seen the check, and the
	// rotation, as they are.
	settled, staged time.Duration
	marks           map[string]nodeMark // by key, of the rotation
	stale           []string            // keys of marks that say nothing any more
	copied          bool                // onto this store, which is in no audit log yet
}

// state reads it, in one request.
func (k *KeyFile) state(ctx context.Context) (keyState, error) {
	found, err := k.documents.store.List(ctx, sealPrefix, "", store.MaxPage)
	if err != nil {
		return keyState{}, fmt.Errorf("reading key check: %w", err)
	}
	s := keyState{marks: make(map[string]nodeMark)}
	ages := k.seen.look(found, k.config.Now())
	s.settled, s.staged = ages[checkKey], ages[rotationKey]
	if !has(found, checkKey) && has(found, legacyCheckKey) {
		// An older version's content was put in the place of this one's.
		if err := adoptFormat(ctx, k.documents.store, k.documents.keys); err != nil {
			return keyState{}, err
		}
		if found, err = k.documents.store.List(ctx, sealPrefix, "", store.MaxPage); err != nil {
			return keyState{}, fmt.Errorf("reading key check: %w", err)
		}
	}
	i := slices.IndexFunc(found, func(d store.Document) bool { return d.Key == checkKey })
	if i < 0 {
		return keyState{}, whyNoCheck(func(key string) bool { return has(found, key) })
	}
	s.check = found[i].Value
	s.copied = has(found, copiedKey)
	pair, since, err := openCheck(k.documents.keys, s.check)
	if err != nil {
		return s, nil // compare says why
	}
	s.since = since
	keys, err := k.documents.keys.Using(pair)
	if err != nil {
		return s, nil
	}
	// What does not open is of a rotation to which this node has no key.
	readable := documents{store: k.documents.store, keys: keys}
	for _, d := range found {
		if d.Key == rotationKey {
			s.rotation = &rotation{}
			if err := readable.decode(d.Key, d.Value, s.rotation); err != nil {
				return s, fmt.Errorf("reading rotation: %w", err)
			}
		}
	}
	for _, d := range found {
		var mark nodeMark
		if !strings.HasPrefix(d.Key, markPrefix) {
			continue
		}
		err := readable.decode(d.Key, d.Value, &mark)
		if err != nil || s.rotation == nil || mark.Pair != s.rotation.Pair || ages[d.Key] > markFresh {
			s.stale = append(s.stale, d.Key)
			continue
		}
		s.marks[d.Key] = mark
	}
	return s, nil
}

// has reports whether found holds a document under key.
func has(found []store.Document, key string) bool {
	return slices.ContainsFunc(found, func(d store.Document) bool { return d.Key == key })
}

// mark says whether this node has the pair of r, unless it has said so.
func (k *KeyFile) mark(ctx context.Context, r rotation) error {
	now := k.config.Now()
	mark := nodeMark{Node: k.config.Node, Pair: r.Pair, Has: k.documents.keys.Hold(r.Pair), At: k.now().UTC()}
	last, since := k.marked, now.Sub(k.saidAt)
	if last.Pair == mark.Pair && last.Has == mark.Has && 0 <= since && since < markEvery {
		return nil
	}
	// The rotation may have ended in the meantime.
	err := k.documents.update(ctx, func(t transaction) error {
		var current rotation
		if found, err := t.get(rotationKey, &current); err != nil || !found || current.Pair != r.Pair {
			return err
		}
		return t.put(k.markKey, mark)
	}, rotationKey, k.markKey)
	if err != nil {
		return fmt.Errorf("telling of new keys: %w", err)
	}
	k.marked, k.saidAt = mark, now
	return nil
}

// recordCopy writes to the audit log that another store was copied onto this
// one, unless another node has.
func (k *KeyFile) recordCopy(ctx context.Context) error {
	first := false
	err := k.documents.store.Update(ctx, func(tx store.Tx) error {
		_, err := tx.Get(copiedKey)
		if first = err == nil; !first {
			if errors.Is(err, store.ErrNotFound) {
				err = nil
			}
			return err
		}
		return tx.Delete(copiedKey)
	}, copiedKey)
	if err != nil {
		return fmt.Errorf("recording copy: %w", err)
	}
	if first {
		k.config.Journal.Record(byOperator(EventStoreCopied))
	}
	return nil
}

// clear removes documents that say nothing any more.
func (k *KeyFile) clear(ctx context.Context, keys []string) error {
	for _, key := range keys {
		err := k.documents.store.Update(ctx, func(tx store.Tx) error { return tx.Delete(key) }, key)
		if err != nil {
			return fmt.Errorf("removing mark of a node: %w", err)
		}
	}
	return nil
}

var (
	// ErrRotationElsewhere is returned when keys were staged that this node's
	// file does not hold.
	ErrRotationElsewhere = errors.New("new keys were staged that this node's key file does not hold")

	// ErrNoRotation is returned when no keys are staged.
	ErrNoRotation = errors.New("no new keys are staged: begin the rotation again")

	// ErrNodesLackKeys is returned when nodes are without the staged keys, or
	// have not yet had the time to say.
	ErrNodesLackKeys = errors.New("not every node has the new keys")

	// ErrKeysNeeded is returned when older keys are still needed.
	ErrKeysNeeded = errors.New("the older keys are still needed")
)
