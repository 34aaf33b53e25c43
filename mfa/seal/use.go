package seal

import (
	"fmt"
	"slices"
	"time"
)

// Use takes the pair into use, which is so since a time that is zero for the
// first pair. ErrUnknownKey is returned when the keys do not
// hold it; from then on they neither seal nor open anything, until they are
// given one that they hold: whoever lacks the pair in use must not write what
// others may soon not read.
func (k *Keys) Use(pair Pair, since time.Time) error {
	var err error
	k.change(func(old *state) *state {
		var next *state
		if next, err = old.using(pair); err != nil {
			stopped := *old
			stopped.use, stopped.stopped = pair, err
			next = &stopped
		}
		next.since = since
		return next
	})
	return err
}

// Stop has the keys neither seal nor open anything, until the next Use.
// Reason is in the errors that they then return.
func (k *Keys) Stop(reason error) {
	k.change(func(old *state) *state {
		stopped := *old
		stopped.stopped = reason
		return &stopped
	})
}

// Err returns why the keys must not be used, which wraps ErrStopped, or nil.
func (k *Keys) Err() error { return k.state.Load().err() }

// change replaces the state by what next makes of it.
func (k *Keys) change(next func(old *state) *state) {
	for {
		old := k.state.Load()
		if k.state.CompareAndSwap(old, next(old)) {
			return
		}
	}
}

// Since returns since when the pair in use is.
func (k *Keys) Since() time.Time { return k.state.Load().since }

// Adopt takes over what other, which was read from a changed key file,
// holds. The pair in use stays; ErrUnknownKey is returned when other lacks
// it, and nothing is changed. Keys that are stopped stay so until Use.
func (k *Keys) Adopt(other *Keys) error {
	var err error
	taken := other.state.Load().ring
	k.change(func(old *state) *state {
		err = nil
		if old.stopped != nil {
			if !slices.Contains(identify(taken.sealing), old.use.Sealing) {
				err = fmt.Errorf("%w %s", ErrUnknownKey, old.use.Sealing)
				return old
			}
			next := *old
			next.ring = taken
			return &next
		}
		var next *state
		if next, err = taken.using(old.use); err != nil {
			return old
		}
		next.since = old.since
		return next
	})
	return err
}

// Replaced reports whether id names a key that the one in use, of its sort,
// has taken the place of, or that is not at hand: keys that are older than it.
// One that is newer may be in use elsewhere already.
func (k *Keys) Replaced(id KeyID) bool {
	s := k.state.Load()
	for _, of := range []struct {
		ids []KeyID
		use KeyID
	}{{identify(s.sealing), s.use.Sealing}, {identify(s.hashing), s.use.Hashing}} {
		if at := slices.Index(of.ids, id); at >= 0 {
			return at < slices.Index(of.ids, of.use)
		}
	}
	return true
}

// Using returns keys of the same file that use the pair.
func (k *Keys) Using(pair Pair) (*Keys, error) {
	next, err := k.state.Load().using(pair)
	if err != nil {
		return nil, err
	}
	other := &Keys{}
	other.state.Store(next)
	return other, nil
}

// Hold reports whether both keys of the pair are at hand.
func (k *Keys) Hold(pair Pair) bool { return k.state.Load().lacks(pair) == 0 }

// lacks returns a key of the pair that r does not hold, 0 for none.
func (r ring) lacks(pair Pair) KeyID {
	if !slices.Contains(identify(r.sealing), pair.Sealing) {
		return pair.Sealing
	}
	if !slices.Contains(identify(r.hashing), pair.Hashing) {
		return pair.Hashing
	}
	return 0
}

// err is the error of keys that are stopped.
func (s *state) err() error {
	if s.stopped != nil {
		return fmt.Errorf("%w: %w", ErrStopped, s.stopped)
	}
	return nil
}
