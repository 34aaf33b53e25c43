package bolt

import (
	"fmt"
	"unicode/utf8"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// checkKey holds a key against the limits that every engine shares.
func checkKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: key is empty", store.ErrTooLarge)
	case len(key) > store.MaxKey:
		return fmt.Errorf("%w: key of %d bytes, at most %d are allowed", store.ErrTooLarge, len(key), store.MaxKey)
	case !utf8.ValidString(key):
		return fmt.Errorf("%w: key is not UTF-8", store.ErrTooLarge)
	}
	return nil
}

// checkValue holds a document against the limits.
func checkValue(value []byte) error {
	if len(value) > store.MaxValue {
		return fmt.Errorf("%w: document of %d bytes, at most %d are allowed", store.ErrTooLarge, len(value), store.MaxValue)
	}
	return nil
}

// checkRange holds the arguments of a List against the limits.
func checkRange(prefix, after string, limit int) error {
	if limit < 1 || limit > store.MaxPage {
		return fmt.Errorf("%w: a page of %d documents, 1 to %d are allowed", store.ErrTooLarge, limit, store.MaxPage)
	}
	for _, key := range []string{prefix, after} {
		if key == "" {
			continue
		}
		if err := checkKey(key); err != nil {
			return err
		}
	}
	return nil
}
