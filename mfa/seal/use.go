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
	for {
		old := k.state.Load()
		next, err := old.using(pair)
		if err != nil {
			stopped := *old
			stopped.use, stopped.since = pair, since
			stopped.lacking = old.lacks(pair)
			if k.state.CompareAndSwap(old, &stopped) {
				return err
			}
			continue
		}
		next.since = since
		if k.state.CompareAndSwap(old, next) {
			return nil
		}
	}
}

// Since returns since when the pair in use is.
func (k *Keys) Since() time.Time { return k.state.Load().since }

// Adopt takes over what other, which was read from a changed key file,
// holds. The pair in use stays; ErrUnknownKey is returned when other lacks
// it, and nothing is changed. Keys that were out of step stay so until Use.
func (k *Keys) Adopt(other *Keys) error {
	for {
		old, taken := k.state.Load(), other.state.Load().ring
		var next *state
		if old.lacking == 0 {
			var err error
			if next, err = taken.using(old.use); err != nil {
				return err
			}
			next.since = old.since
		} else {
			if !slices.Contains(identify(taken.sealing), old.use.Sealing) {
				return fmt.Errorf("%w %s", ErrUnknownKey, old.use.Sealing)
			}
			stopped := *old
			stopped.ring = taken
			next = &stopped
		}
		if k.state.CompareAndSwap(old, next) {
			return nil
		}
	}
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

// out is the error of keys that lack the one in use.
func (s *state) out() error {
	if s.lacking != 0 {
		return fmt.Errorf("%w in use, %s", ErrUnknownKey, s.lacking)
	}
	return nil
}
