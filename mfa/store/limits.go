package store

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// CheckKey holds a key against the limits that every engine shares.
func CheckKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: key is empty", ErrTooLarge)
	case len(key) > MaxKey:
		return fmt.Errorf("%w: key of %d bytes, at most %d are allowed", ErrTooLarge, len(key), MaxKey)
	case !utf8.ValidString(key):
		return fmt.Errorf("%w: key is not UTF-8", ErrTooLarge)
	}
	return nil
}

// Names returns the distinct keys among those that an Update names, in the
// order of their bytes, and holds them against the limits.
func Names(keys []string) ([]string, error) {
	for _, key := range keys {
		if err := CheckKey(key); err != nil {
			return nil, err
		}
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(keys)))
	if len(distinct) > MaxKeys {
		return nil, fmt.Errorf("%w: an update of %d keys, at most %d are allowed", ErrTooLarge, len(distinct), MaxKeys)
	}
	return distinct, nil
}

// CheckValue holds a document against the limits.
func CheckValue(value []byte) error {
	if len(value) > MaxValue {
		return fmt.Errorf("%w: document of %d bytes, at most %d are allowed", ErrTooLarge, len(value), MaxValue)
	}
	return nil
}

// CheckUpdate holds the size of all that an Update writes against the limits.
func CheckUpdate(size int) error {
	if size > MaxUpdate {
		return fmt.Errorf("%w: an update that writes %d bytes, at most %d are allowed", ErrTooLarge, size, MaxUpdate)
	}
	return nil
}

// CheckPage holds the arguments of a List against the limits.
func CheckPage(prefix, after string, limit int) error {
	if limit < 1 || limit > MaxPage {
		return fmt.Errorf("%w: a page of %d documents, 1 to %d are allowed", ErrTooLarge, limit, MaxPage)
	}
	for _, key := range []string{prefix, after} {
		if key == "" {
			continue
		}
		if err := CheckKey(key); err != nil {
			return err
		}
	}
	return nil
}
