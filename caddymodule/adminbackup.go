package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// snapshotter returns the store as one that can be backed up.
func (in *instance) snapshotter() (store.Snapshotter, error) {
	snapshotter, ok := in.store.(store.Snapshotter)
	if !ok {
		return nil, adminError(http.StatusNotImplemented,
			fmt.Errorf("the store %s is backed up with tools of its own", in.app.engine.CaddyModule().ID.Name()))
	}
	return snapshotter, nil
}

// takeTime lifts the time limit of Caddy's admin endpoint, ten seconds in
// which a request has to be read. It ends what is still going on then, also
// where a backup is being written.
func takeTime(w http.ResponseWriter) {
	// A writer that has no limit to lift is fine.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
}

// adminBackup writes a snapshot of the store. A snapshot that breaks off
// ends the connection, so that nobody takes it for whole.
func (in *instance) adminBackup(w http.ResponseWriter, r *http.Request) error {
	snapshotter, err := in.snapshotter()
	if err != nil {
		return err
	}
	takeTime(w)
	w.Header().Set("Content-Type", "application/octet-stream")
	body := &counted{ResponseWriter: w}
	if err := in.keyFile.Backup(r.Context(), snapshotter, body); err != nil {
		if body.begun {
			panic(http.ErrAbortHandler)
		}
		return err
	}
	return nil
}

// counted knows whether a body has begun.
type counted struct {
	http.ResponseWriter
	begun bool
}

func (c *counted) Write(p []byte) (int, error) {
	c.begun = true
	return c.ResponseWriter.Write(p)
}

// adminRestore replaces the store by the snapshot in the body. With
// overwrite=true it does so also when there is something to lose.
func (in *instance) adminRestore(w http.ResponseWriter, r *http.Request) error {
	snapshotter, err := in.snapshotter()
	if err != nil {
		return err
	}
	takeTime(w)
	err = in.keyFile.Restore(r.Context(), snapshotter, r.Body, r.URL.Query().Get("overwrite") == "true")
	switch {
	case errors.Is(err, mfa.ErrInUse), errors.Is(err, mfa.ErrKeysChanging):
		return adminError(http.StatusConflict, err)
	case errors.Is(err, mfa.ErrForeignBackup), errors.Is(err, store.ErrBadSnapshot):
		return adminError(http.StatusUnprocessableEntity, err)
	case err != nil:
		return err
	}
	return joinAddressSubjects(r.Context(), in.service, in.app.log) // of an older version's backup
}
