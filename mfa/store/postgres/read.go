package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/internal/draft"
)

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	value, _, err := s.GetVersion(ctx, key)
	return value, err
}

// GetVersion implements store.Shared.
func (s *Store) GetVersion(ctx context.Context, key string) ([]byte, int64, error) {
	if err := store.CheckKey(key); err != nil {
		return nil, 0, err
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer leave()
	var found draft.Document
	err = s.connected(ctx, "reading from postgres", func(ctx context.Context, conn link) (err error) {
		found, err = readOne(ctx, conn, key)
		return err
	})
	switch {
	case err != nil:
		return nil, 0, err
	case found.Version == 0:
		return nil, 0, store.ErrNotFound
	}
	return found.Value, found.Version, nil
}

// readOne reads what is under key.
func readOne(ctx context.Context, conn link, key string) (draft.Document, error) {
	found := draft.Document{Key: key}
	_, err := conn.ask(ctx, say(sqlRead).key(key), func(columns [][]byte) (err error) {
		if err := primary(columns[2]); err != nil || columns[1] == nil {
			return err
		}
		found.Value = append([]byte{}, columns[0]...)
		found.Version, err = number(columns[1])
		return err
	})
	return found, err
}

// primary returns errReplica where transaction_read_only is on. On a standby
// it always is.
func primary(readOnly []byte) error {
	if string(readOnly) == "on" {
		return errReplica
	}
	return nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]store.Document, error) {
	if err := store.CheckPage(prefix, after, limit); err != nil {
		return nil, err
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	from, to := prefix, successor(prefix)
	if after >= prefix && after != "" {
		from = after + "\x00" // the next key that there can be
	}
	var page []store.Document
	err = s.connected(ctx, "reading from postgres", func(ctx context.Context, conn link) error {
		page = nil
		list := say(sqlList).key(from).key(to).number(int64(limit))
		return conn.askAll(ctx, []statement{say(sqlRole), list}, func(columns [][]byte) error {
			if len(columns) == 1 {
				return primary(columns[0])
			}
			page = append(page, store.Document{Key: string(columns[0]), Value: append([]byte{}, columns[1]...)})
			return nil
		})
	})
	return page, err
}

// successor returns what comes after all keys that begin with prefix. As it
// is UTF-8, no byte of it is 0xff, and no key begins with one.
func successor(prefix string) string {
	if prefix == "" {
		return "\xff"
	}
	last := len(prefix) - 1
	return prefix[:last] + string([]byte{prefix[last] + 1})
}

// compared is how many keys one statement of Changed compares.
const compared = 5000

// Changed implements store.Shared. It makes a statement for every 5,000 keys,
// and all of them in one round trip. The first asks the server what it is: one
// that is not the primary, or stands in a history that was left, is not
// believed. After a restore or a failover all keys are named, once.
func (s *Store) Changed(ctx context.Context, seen map[string]int64) ([]string, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	statements := []statement{s.askState()}
	for keys := range slices.Chunk(slices.Sorted(maps.Keys(seen)), compared) {
		versions := make([]int64, len(keys))
		for i, key := range keys {
			versions[i] = seen[key]
		}
		statements = append(statements, say(sqlChanged).keys(keys).numbers(versions))
	}
	var changed []string
	var before place
	var found state
	each := func(columns [][]byte) (err error) {
		if len(columns) == stateColumns {
			found, err = readState(columns)
		} else {
			changed = append(changed, string(columns[0]))
		}
		return err
	}
	err = s.connected(ctx, fmt.Sprintf("comparing %d versions in postgres", len(seen)), func(ctx context.Context, conn link) error {
		changed, before = nil, s.history.now()
		if err := conn.askAll(ctx, statements, each); err != nil {
			return err
		}
		return s.judge(before, found)
	})
	if err != nil {
		return nil, err
	}
	if round := s.history.round(); s.compared.Swap(round) != round {
		s.pool.Reset() // what is left of it may lead to where it was
		return slices.Sorted(maps.Keys(seen)), nil
	}
	return changed, nil
}

// Written implements store.Shared.
func (s *Store) Written() <-chan struct{} {
	if s.bell == nil {
		return nil
	}
	return s.bell.heard
}
