package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

func lists(t *testing.T, e Engine) {
	ctx := context.Background()
	fill := func(t *testing.T, s store.Store, keys ...string) {
		t.Helper()
		for some := range slices.Chunk(keys, store.MaxKeys) {
			err := s.Update(ctx, func(tx store.Tx) error {
				for _, key := range some {
					if err := tx.Put(key, []byte("of "+key)); err != nil {
						return err
					}
				}
				return nil
			}, some...)
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	listed := func(t *testing.T, s store.Store, prefix, after string, limit int) []string {
		t.Helper()
		page, err := s.List(ctx, prefix, after, limit)
		if err != nil {
			t.Fatalf("List(%q, %q, %d): %v", prefix, after, limit, err)
		}
		keys := []string{}
		for _, d := range page {
			if string(d.Value) != "of "+d.Key {
				t.Errorf("%q came with %q", d.Key, d.Value)
			}
			keys = append(keys, d.Key)
		}
		return keys
	}

	t.Run("AnEmptyStoreListsNothing", func(t *testing.T) {
		if got := listed(t, open(t, e), "", "", 10); len(got) != 0 {
			t.Errorf("got %q", got)
		}
	})
	t.Run("KeysComeInTheOrderOfTheirBytes", func(t *testing.T) {
		s := open(t, e)
		keys := []string{"b", "a", "B", "a/b", "a\x00", "a!", "aa", "a_", "é", "z", "Z", "10", "9", "\U0001F511", "\uFFFD", "~", " "}
		fill(t, s, keys...)
		slices.Sort(keys)
		if got := listed(t, s, "", "", len(keys)+1); !slices.Equal(got, keys) {
			t.Errorf("got  %q\nwant %q", got, keys)
		}
	})
	t.Run("PrefixAfterAndLimitChoose", func(t *testing.T) {
		s := open(t, e)
		fill(t, s, "user", "user/", "user/1", "user/10", "user/2", "user0", "user/\U0010FFFF", "use", "link/1", "x%y", "xzy", "x_y")
		for _, row := range []struct {
			prefix, after string
			limit         int
			want          []string
		}{
			{"user/", "", 10, []string{"user/", "user/1", "user/10", "user/2", "user/\U0010FFFF"}},
			{"user/1", "", 10, []string{"user/1", "user/10"}},
			{"user", "", 3, []string{"user", "user/", "user/1"}},
			{"user/", "user/1", 10, []string{"user/10", "user/2", "user/\U0010FFFF"}},
			{"user/", "user/1", 1, []string{"user/10"}},
			{"user/", "user/11", 10, []string{"user/2", "user/\U0010FFFF"}}, // after need not exist
			{"user/", "a", 2, []string{"user/", "user/1"}},                  // before the prefix
			{"user/", "user/\U0010FFFF", 10, []string{}},
			{"user/", "zzz", 10, []string{}}, // behind the prefix
			{"", "user/2", 2, []string{"user/\U0010FFFF", "user0"}},
			{"nobody", "", 10, []string{}},
			{"use", "use", 2, []string{"user", "user/"}}, // the prefix itself
			{"x%", "", 10, []string{"x%y"}},              // no pattern
			{"x_", "", 10, []string{"x_y"}},
		} {
			if got := listed(t, s, row.prefix, row.after, row.limit); !slices.Equal(got, row.want) {
				t.Errorf("List(%q, %q, %d): %q, want %q", row.prefix, row.after, row.limit, got, row.want)
			}
		}
	})
	t.Run("PagesTogetherAreTheWhole", func(t *testing.T) {
		s := open(t, e)
		var want []string
		for i := range store.MaxPage + 7 {
			want = append(want, fmt.Sprintf("user/%05d", i))
		}
		fill(t, s, want...)
		fill(t, s, "aaa", "zzz")
		for _, limit := range []int{store.MaxPage, 100, 501} {
			var got []string
			for after, end := "", false; !end; {
				page := listed(t, s, "user/", after, limit)
				got = append(got, page...)
				if end = len(page) < limit; !end {
					after = page[len(page)-1]
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("limit %d: %d keys, want %d", limit, len(got), len(want))
			}
		}
	})
	t.Run("PagingGoesOnWhenTheLastKeyIsGone", func(t *testing.T) {
		s := open(t, e)
		fill(t, s, "a", "b", "c", "d")
		page := listed(t, s, "", "", 2)
		remove(t, s, "b")
		if got := listed(t, s, "", page[1], 10); !slices.Equal(got, []string{"c", "d"}) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("DeletedDocumentsAreNotListed", func(t *testing.T) {
		s := open(t, e)
		fill(t, s, "a", "b", "c")
		remove(t, s, "b")
		if got := listed(t, s, "", "", 10); !slices.Equal(got, []string{"a", "c"}) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("APrefixOrAfterThatCanBeNoKeyIsRefused", func(t *testing.T) {
		s := open(t, e)
		for _, bad := range []string{"a\xff", strings.Repeat("k", store.MaxKey+1)} {
			if _, err := s.List(ctx, bad, "", 1); !errors.Is(err, store.ErrTooLarge) {
				t.Errorf("prefix %.10q: %v", bad, err)
			}
			if _, err := s.List(ctx, "", bad, 1); !errors.Is(err, store.ErrTooLarge) {
				t.Errorf("after %.10q: %v", bad, err)
			}
		}
	})
}
