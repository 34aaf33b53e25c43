package mail

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	netmail "net/mail"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Directory is a Sender for development: it leaves each message as an
// .eml file in a directory instead of sending it.
type Directory struct {
	dir  string
	from netmail.Address
	now  func() time.Time

	mu   sync.Mutex
	last time.Time // of the latest file, so that names keep the order of sending
}

// NewDirectory returns a Sender that writes into dir, which is made with
// mode 0700 at the first Send when it is absent. from is the sender's
// mailbox, such as "Acme <no-reply@example.com>".
func NewDirectory(dir, from string) (*Directory, error) {
	if dir == "" {
		return nil, errors.New("mail directory: the path is empty")
	}
	parsed, err := parseFrom(from)
	if err != nil {
		return nil, fmt.Errorf("mail directory: %w", err)
	}
	return &Directory{dir: dir, from: parsed, now: time.Now}, nil
}

// Send writes msg to a file of its own, mode 0600, whose name begins with
// the time in UTC. The file appears whole or not at all, and holds the
// very message that SMTP would send.
func (d *Directory) Send(ctx context.Context, msg Message) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("writing mail to %s: %w", d.dir, err)
	}
	at := d.nextTime()
	content, err := compose(d.from, msg, at)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return fmt.Errorf("%w: making mail directory: %w", ErrUnavailable, err)
	}
	// The random part keeps other processes' names apart.
	name := at.UTC().Format("20060102T150405.000000000Z") + "-" + rand.Text()[:10] + ".eml"
	if err := writeFile(d.dir, name, content); err != nil {
		return fmt.Errorf("%w: writing mail: %w", ErrUnavailable, err)
	}
	return nil
}

// nextTime returns the present time, or the first one after the latest
// file's when the clock has not moved on since.
func (d *Directory) nextTime() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.now()
	if !at.After(d.last) {
		at = d.last.Add(time.Nanosecond)
	}
	d.last = at
	return at
}

// writeFile makes dir/name with mode 0600 in one step, by way of a
// temporary file that leaves nothing behind when it fails.
func writeFile(dir, name string, content []byte) error {
	file, err := os.CreateTemp(dir, ".mail-*.tmp")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
