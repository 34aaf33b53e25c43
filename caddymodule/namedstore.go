package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/legible"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/bolt"
)

// namedStore is a store that a command's flag names.
type namedStore struct {
	store   store.Store
	flag    string
	name    string
	key     string // Store.PoolKey
	keyFile string // of its configuration, "" for none
	closers []func()
}

// title names the store in messages. What was given as JSON, or is a DSN, may
// have a password in it.
func (n *namedStore) title() string {
	if strings.HasPrefix(n.name, "{") || isDSN(n.name) {
		return "the store of " + n.flag
	}
	return legible.Text(n.name)
}

// isDSN reports whether name looks like that of a database, as a URL or as
// pairs.
func isDSN(name string) bool {
	return strings.Contains(name, "://") || strings.Contains(name, "password=")
}

// release closes what was opened.
func (n *namedStore) release() {
	for i := len(n.closers) - 1; i >= 0; i-- {
		n.closers[i]()
	}
	n.closers = nil
}

// shared reports whether other processes may write to the store.
func (n *namedStore) shared() bool {
	_, ok := n.store.(store.Shared)
	return ok
}

// checkKeyFile makes sure that the key file of n's configuration is that of
// the records in from. One that is not there yet is fine.
func (n *namedStore) checkKeyFile(ctx context.Context, from *namedStore) error {
	if n.keyFile == "" {
		return nil
	}
	if _, err := os.Stat(n.keyFile); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := mfa.CheckKeyFile(ctx, from.store, n.keyFile); err != nil {
		return fmt.Errorf("the key file of %s and the records in %s: %w", n.title(), from.title(), err)
	}
	return nil
}

// openNamed opens the store that the value of a flag names, unless check,
// which is called before a file is made, has something against it.
func openNamed(ctx context.Context, flag, name, adapter string, check func(*namedStore) error) (_ *namedStore, err error) {
	n := &namedStore{flag: flag, name: name}
	defer func() {
		if err != nil {
			n.release()
		}
	}()
	app, err := n.app(ctx, adapter)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	caddyCtx, cancel := caddy.NewContext(caddy.Context{Context: ctx})
	n.closers = append(n.closers, cancel)
	if err := app.provisionStore(caddyCtx); err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	n.keyFile, n.key = app.KeyFile, app.engine.PoolKey()
	if err := check(n); err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	// A database that is not there would be made.
	if engine, ok := app.engine.(*BoltStore); ok && flag == "--from" {
		if _, err := os.Stat(engine.Path); err != nil {
			return nil, fmt.Errorf("%s: there is no database: %w", flag, err)
		}
	}
	if n.store, err = app.engine.Open(ctx); err != nil {
		if errors.Is(err, bolt.ErrLocked) && flag == "--from" {
			err = fmt.Errorf("%w; a server that has it open must be stopped, or a backup of it be copied: --from backup:<file>", err)
		}
		return nil, fmt.Errorf("%s: opening store: %w", flag, err)
	}
	n.closers = append(n.closers, func() { _ = n.store.Close() })
	return n, nil
}

// app returns the part of a configuration that has the store.
func (n *namedStore) app(ctx context.Context, adapter string) (*App, error) {
	if strings.HasPrefix(n.name, "{") {
		return &App{StoreRaw: []byte(n.name)}, nil
	}
	engine, rest, _ := strings.Cut(n.name, ":")
	switch {
	case rest == "" && (engine == "bolt" || engine == "backup") && strings.Contains(n.name, ":"):
		return nil, fmt.Errorf("%s: the path is missing", n.name)
	case engine == "bolt" && rest != "":
		return boltApp(rest), nil
	case engine == "backup" && rest != "":
		if n.flag != "--from" {
			return nil, errors.New("a backup can only be a source; it is made with `caddy mfa backup`")
		}
		path, err := n.unpack(ctx, rest)
		if err != nil {
			return nil, fmt.Errorf("reading backup: %w", err)
		}
		return boltApp(path), nil
	}
	if isDSN(n.name) {
		return nil, errors.New(`a DSN is no name of a store: give it as JSON, such as '{"engine":"postgres","dsn":"{env.MFA_DSN}"}'`)
	}
	if _, err := os.Stat(n.name); err != nil {
		return nil, fmt.Errorf(`%q is no configuration file (%w), nor bolt:<path>, backup:<file> or {"engine":…}`, n.name, err)
	}
	return appIn(n.name, adapter)
}

func boltApp(path string) *App {
	return &App{StoreRaw: caddyconfig.JSON(map[string]string{"engine": "bolt", "path": path}, nil)}
}

// unpack makes a database of a backup, which may not be opened itself: that
// changes it.
func (n *namedStore) unpack(ctx context.Context, path string) (_ string, err error) {
	backup, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer backup.Close()
	folder, err := os.MkdirTemp("", "caddy-mfa-copy-") // mode 0700
	if err != nil {
		return "", err
	}
	n.closers = append(n.closers, func() { _ = os.RemoveAll(folder) })
	unpacked := filepath.Join(folder, "mfa.db")
	db, err := bolt.Open(unpacked)
	if err != nil {
		return "", err
	}
	err = db.Restore(ctx, backup, func(_, _ store.Content) error { return nil })
	return unpacked, errors.Join(err, db.Close())
}
