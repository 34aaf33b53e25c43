package postgres

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

func TestWhoTellsAndHearsOfWritesGoesOnAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		watches, notes := panics.Count(panics.StoreWatch), panics.Count(panics.StoreNotify)
		// Neither the store nor the configuration can be used.
		b := newBell(&Store{timeout: time.Second}, new(pgx.ConnConfig))
		for range 10 {
			b.ring()
			time.Sleep(time.Minute)
		}
		b.stop()
		if watches, notes = panics.Count(panics.StoreWatch)-watches, panics.Count(panics.StoreNotify)-notes; watches < 3 || notes < 3 {
			t.Errorf("%d sessions and %d notifications were begun", watches, notes)
		}
	})
}
