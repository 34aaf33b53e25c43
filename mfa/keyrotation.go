package mfa

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// Rotation is a change of the sealing keys that has begun.
type Rotation struct {
	// Pair are the new keys.
	Pair seal.Pair
	// InUse says that they are in use, and documents are to be sealed anew.
	InUse bool
	// Nodes are those that have told whether they have the new keys.
	Nodes []NodeKeys
	// Wait is how long other nodes may still take to tell.
	Wait time.Duration
}

// NodeKeys is a node and whether it has the new keys.
type NodeKeys struct {
	Node string
	Has  bool
}

// Missing are the names of the nodes without the new keys.
func (r Rotation) Missing() []string {
	var names []string
	for _, n := range r.Nodes {
		if !n.Has {
			names = append(names, n.Node)
		}
	}
	return names
}

// Stage begins a rotation, or tells how far the one is that was begun. The
// new keys are made in this node's file, unless it holds such that were
// never in use. Nothing is sealed with them yet. While documents are still to
// be sealed anew after an earlier change, no other is begun, and that one is
// returned.
//
// ErrRotationElsewhere is returned when new keys are staged that this node
// lacks, while another has them.
func (k *KeyFile) Stage(ctx context.Context) (Rotation, error) {
	k.changing.Lock()
	defer k.changing.Unlock()
	if _, err := k.Follow(ctx); err != nil {
		return Rotation{}, err
	}
	s, err := k.state(ctx)
	if err != nil {
		return Rotation{}, err
	}
	if s.rotation == nil {
		done, err := k.resealed(ctx)
		if err != nil {
			return Rotation{}, err
		}
		if !done {
			return Rotation{Pair: k.documents.keys.InUse(), InUse: true}, nil
		}
	}
	if s.rotation == nil || !k.documents.keys.Hold(s.rotation.Pair) && !held(s) {
		if err := k.begin(ctx, s.rotation); err != nil {
			return Rotation{}, err
		}
		if s, err = k.state(ctx); err != nil {
			return Rotation{}, err
		}
		if s.rotation == nil {
			return Rotation{}, ErrNoRotation // ended by another node
		}
	}
	if !k.documents.keys.Hold(s.rotation.Pair) {
		return Rotation{}, fmt.Errorf("%w: copy the key file of %s, with key %s, to this node",
			ErrRotationElsewhere, s.rotation.Node, s.rotation.Pair.Sealing)
	}
	if _, err := k.Follow(ctx); err != nil { // which tells that this node has the keys
		return Rotation{}, err
	}
	if s, err = k.state(ctx); err != nil {
		return Rotation{}, err
	}
	return k.describe(s), nil
}

// held reports whether any node has the staged pair.
func held(s keyState) bool {
	for _, mark := range s.marks {
		if mark.Has {
			return true
		}
	}
	return false
}

// describe tells how far a rotation is.
func (k *KeyFile) describe(s keyState) Rotation {
	if s.rotation == nil {
		return Rotation{Pair: k.documents.keys.InUse(), InUse: true}
	}
	r := Rotation{Pair: s.rotation.Pair}
	for _, mark := range s.marks {
		r.Nodes = append(r.Nodes, NodeKeys{Node: mark.Node, Has: mark.Has})
	}
	slices.SortFunc(r.Nodes, func(a, b NodeKeys) int { return cmp.Compare(a.Node, b.Node) })
	if k.config.Shared {
		r.Wait = max(0, markWait-s.staged)
	}
	return r
}

// begin puts new keys into the file and tells all nodes of them. Gone is a
// rotation whose keys nobody has any more, nil for none.
func (k *KeyFile) begin(ctx context.Context, gone *rotation) error {
	keys := k.documents.keys
	pair := keys.Newest()
	if use := keys.InUse(); pair.Sealing == use.Sealing || pair.Hashing == use.Hashing {
		err := k.changeFile(func(path string) (err error) {
			pair, err = seal.AddKeys(path)
			return err
		})
		if err != nil {
			return err
		}
	}
	staged := false
	err := k.documents.update(ctx, func(t transaction) error {
		staged = false
		var other rotation
		found, err := t.get(rotationKey, &other)
		if err != nil {
			return err
		}
		if found && (gone == nil || other.Pair != gone.Pair) {
			return nil // another node was first
		}
		staged = true
		now := k.now().UTC()
		if err := t.put(rotationKey, rotation{Pair: pair, At: now, Node: k.config.Node}); err != nil {
			return err
		}
		// A rotation whose keys no node says it has looks as if they were lost.
		return t.put(k.markKey, nodeMark{Node: k.config.Node, Pair: pair, Has: true, At: now})
	}, rotationKey, k.markKey)
	if err != nil {
		return fmt.Errorf("staging keys: %w", err)
	}
	if staged {
		k.config.Journal.Record(byOperator(EventSealingKeysStaged))
	}
	return nil
}

// Promote takes the staged keys into use. ErrNoRotation is returned when
// there are none, ErrNodesLackKeys when a node that runs has not got them.
func (k *KeyFile) Promote(ctx context.Context) (seal.Pair, error) {
	k.changing.Lock()
	defer k.changing.Unlock()
	// Who follows in between would take the older keys into use again.
	k.taking.Lock()
	defer k.taking.Unlock()
	s, err := k.state(ctx)
	if err != nil {
		return seal.Pair{}, err
	}
	if s.rotation == nil {
		return seal.Pair{}, ErrNoRotation
	}
	r, pair := k.describe(s), s.rotation.Pair
	if missing := r.Missing(); len(missing) > 0 {
		return seal.Pair{}, fmt.Errorf("%w: copy the key file of %s to %s", ErrNodesLackKeys, s.rotation.Node, strings.Join(missing, ", "))
	}
	if r.Wait > 0 {
		return seal.Pair{}, fmt.Errorf("%w: wait %s for them to tell", ErrNodesLackKeys, r.Wait.Round(time.Second))
	}
	now := k.now().UTC()
	check, err := sealCheck(k.documents.keys, pair, now)
	if err != nil {
		return seal.Pair{}, fmt.Errorf("%w: %w", ErrRotationElsewhere, err)
	}
	err = k.documents.update(ctx, func(t transaction) error {
		var current rotation
		if found, err := t.get(rotationKey, &current); err != nil {
			return err
		} else if !found || current.Pair != pair {
			return ErrNoRotation
		}
		if err := t.tx.Delete(rotationKey); err != nil {
			return err
		}
		return t.tx.Put(checkKey, check)
	}, rotationKey, checkKey)
	if err != nil {
		return seal.Pair{}, fmt.Errorf("taking keys into use: %w", err)
	}
	if err := k.documents.keys.Use(pair, now); err != nil {
		return seal.Pair{}, err
	}
	k.seen.saw(store.Document{Key: checkKey, Value: check}, k.config.Now())
	k.config.Journal.Record(byOperator(EventSealingKeysMade))
	for key := range s.marks {
		s.stale = append(s.stale, key)
	}
	return pair, k.clear(ctx, s.stale)
}
