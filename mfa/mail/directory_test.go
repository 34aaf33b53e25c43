package mail

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func newDirectory(t *testing.T, dir string) *Directory {
	t.Helper()
	sender, err := NewDirectory(dir, `"Ärger & Söhne" <no-reply@example.com>`)
	if err != nil {
		t.Fatal(err)
	}
	sender.now = func() time.Time { return time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC) }
	return sender
}

func TestTheDirectoryIsMadeByTheFirstMessageAndNotBefore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "outbox")
	sender := newDirectory(t, dir)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the directory exists after construction (%v)", err)
	}
	if err := sender.Send(t.Context(), testMessage()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the directory's mode is %o", info.Mode().Perm())
	}
}

func TestAFileHoldsTheMessageThatSMTPWouldSend(t *testing.T) {
	dir := t.TempDir()
	if err := newDirectory(t, dir).Send(t.Context(), testMessage()); err != nil {
		t.Fatal(err)
	}
	files := list(t, dir)
	if len(files) != 1 {
		t.Fatalf("files are %q", files)
	}
	if !strings.HasPrefix(files[0], "20310506T070809.000000000Z-") || !strings.HasSuffix(files[0], ".eml") {
		t.Errorf("the file's name is %q", files[0])
	}
	path := filepath.Join(dir, files[0])
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %o", info.Mode().Perm())
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	checkTestMessage(t, string(content))
}

func TestFilesSortInTheOrderOfSendingEvenWhenTheClockStandsStill(t *testing.T) {
	dir := t.TempDir()
	sender := newDirectory(t, dir)
	var sent []string
	for range 5 {
		before := list(t, dir)
		if err := sender.Send(t.Context(), testMessage()); err != nil {
			t.Fatal(err)
		}
		for _, name := range list(t, dir) {
			if !slices.Contains(before, name) {
				sent = append(sent, name)
			}
		}
	}
	if sorted := list(t, dir); len(sorted) != 5 || !slices.Equal(sorted, sent) {
		t.Errorf("sorted %q, sent %q", sorted, sent)
	}
}

func TestConcurrentMessagesNeverShareAFile(t *testing.T) {
	dir := t.TempDir()
	// Two senders stand for two processes with the same clock.
	senders := []*Directory{newDirectory(t, dir), newDirectory(t, dir)}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := senders[i%2].Send(t.Context(), testMessage()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if files := list(t, dir); len(files) != 20 {
		t.Errorf("%d files, want 20", len(files))
	}
}

func TestADirectoryThatCannotBeMadeIsReported(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := newDirectory(t, filepath.Join(file, "outbox")).Send(t.Context(), testMessage())
	checkError(t, err, "making mail directory", file)
}

func TestACancelledContextWritesNoFile(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newDirectory(t, dir).Send(ctx, testMessage()); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if files := list(t, dir); len(files) != 0 {
		t.Errorf("files are %q", files)
	}
}

func TestADirectoryNeedsAPathAndASender(t *testing.T) {
	if _, err := NewDirectory("", "a@example.com"); err == nil || !strings.Contains(err.Error(), "path is empty") {
		t.Errorf("error is %v", err)
	}
	if _, err := NewDirectory("outbox", "Acme"); err == nil || !strings.Contains(err.Error(), "parsing from") {
		t.Errorf("error is %v", err)
	}
}

// list returns the names in dir, sorted.
func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names
}
