package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// keyError says what mends an error of mfa.LoadKeys, where that is a command.
func keyError(err error) error {
	if errors.Is(err, mfa.ErrMoved) {
		return fmt.Errorf("store: %w; to serve from this one again, open it with `caddy mfa copy --reopen`", err)
	}
	if errors.Is(err, mfa.ErrUnfinishedCopy) {
		return fmt.Errorf("store: %w with `caddy mfa copy`", err)
	}
	if errors.Is(err, mfa.ErrNewerStore) {
		return fmt.Errorf("store: %w", err)
	}
	return fmt.Errorf("key_file: %w", err)
}

// nodeName is how an operator knows this process.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unnamed host"
	}
	return fmt.Sprintf("%s (process %d)", host, os.Getpid())
}

// followKeys keeps the keys in step, and says when they are not.
func followKeys(ctx context.Context, keys *mfa.KeyFile, path string, log *zap.Logger) {
	ticker := time.NewTicker(mfa.KeyPoll)
	defer ticker.Stop()
	var said string
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		followed, err := keys.Follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, store.ErrUnavailable) {
			continue // nothing is known of the keys, and requests say so
		}
		if followed.File {
			log.Info("read the key file again", zap.String("key_file", path))
		}
		if followed.Use {
			log.Info("other sealing keys are in use")
		}
		switch {
		case err == nil && said != "":
			log.Info("the sealing keys are in step again")
			said = ""
		case err != nil && err.Error() != said:
			// The same is not said again every few seconds.
			said = err.Error()
			what := "sealing keys are out of step: where the key in use is missing, this node answers 503 until its key file has it"
			if errors.Is(err, mfa.ErrMoved) || errors.Is(err, mfa.ErrUnfinishedCopy) {
				what = "the store is out of use: this node answers 503 until it is started with another, or this one is opened again"
			}
			if errors.Is(err, mfa.ErrNewerStore) {
				what = "a newer version has taken the store over: this node answers 503 until it runs that version"
			}
			log.Error(what, zap.Error(err))
		}
	}
}
