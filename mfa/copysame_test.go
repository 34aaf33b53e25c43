package mfa_test

import (
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// alias is another way to a store, as by another address of a database.
type alias struct{ store.Store }

func TestAStoreThatIsCopiedOntoItselfStaysAsItIs(t *testing.T) {
	f := newFixture(t)
	n := f.alone()
	app := f.enrolApp(alice)
	for _, closed := range []bool{false, true} {
		if closed {
			if _, err := mfa.CloseStore(t.Context(), f.store); err != nil {
				t.Fatal(err)
			}
		}
		before := dump(t, f.store)
		_, err := mfa.Copy(t.Context(), f.store, alias{f.store}, mfa.CopyOptions{Overwrite: true})
		wantError(t, err, mfa.ErrSameStore)
		_, err = mfa.Copy(t.Context(), f.store, alias{f.store}, mfa.CopyOptions{})
		wantError(t, err, mfa.ErrDestinationInUse)
		if dump(t, f.store) != before {
			t.Error("the store was changed")
		}
	}
	if _, err := mfa.ReopenStore(t.Context(), f.store); err != nil {
		t.Fatal(err)
	}
	n.follow()
	f.login(alice, factor.TypeTOTP, mfa.LoginProof{Code: app.backupCodes[0]})
}
