package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func backupCommand() *cobra.Command {
	cmd := userCommand("backup <file>", "Writes a consistent copy of the store to a file, while serving", cobra.ExactArgs(1), writeBackup)
	cmd.Long += "\n\nKeep it apart from the key file, without which it cannot be read. A file that\nexists is not overwritten."
	return cmd
}

func restoreCommand() *cobra.Command {
	cmd := userCommand("restore <file>", "Replaces all records by those of a backup, while serving", cobra.ExactArgs(1), readBackup, yesFlag,
		func(cmd *cobra.Command) {
			cmd.Flags().Bool("overwrite", false, "Replace a store that holds users, or is newer than the backup")
		})
	return cmd
}

func writeBackup(flags caddycmd.Flags) (_ int, err error) {
	path := flags.Arg(0)
	if _, err := os.Lstat(path); err == nil {
		return 1, fmt.Errorf("%s exists already: name another file", path)
	}
	response, err := adminRequest(flags, http.MethodGet, "/mfa/backup", nil)
	if err != nil {
		return 1, err
	}
	defer response.Body.Close()
	// Under another name until it is whole and on disk.
	file, err := os.CreateTemp(filepath.Dir(path), ".mfa-backup-*") // mode 0600
	if err != nil {
		return 1, fmt.Errorf("making file: %w", err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	progress := newProgress("backing up", response.ContentLength)
	size, err := io.Copy(io.MultiWriter(file, progress), response.Body)
	_ = progress.Finish()
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		return 1, fmt.Errorf("writing backup: %w", err)
	}
	if err := putInPlace(file.Name(), path); err != nil {
		return 1, fmt.Errorf("naming backup: %w", err)
	}
	fmt.Printf("%s: %d bytes\n", path, size)
	return 0, nil
}

// putInPlace gives a file its name, unless that is taken. A link, unlike a
// rename, finds that out by itself, but not every file system has links.
func putInPlace(file, path string) error {
	err := os.Link(file, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fs.ErrExist
	}
	return os.Rename(file, path)
}

func readBackup(flags caddycmd.Flags) (int, error) {
	file, err := os.Open(flags.Arg(0))
	if err != nil {
		return 1, fmt.Errorf("opening backup: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 1, fmt.Errorf("opening backup: %w", err)
	}
	if !info.Mode().IsRegular() {
		return 1, errors.New("the backup is not a regular file")
	}
	uri := "/mfa/restore"
	if flags.Bool("overwrite") {
		if err := confirm(flags, "Replace all users of the running server by those of the backup? This cannot be undone."); err != nil {
			return 1, err
		}
		uri += "?overwrite=true"
	}
	progress := newProgress("restoring", max(info.Size(), 1))
	response, err := adminRequest(flags, http.MethodPost, uri, io.TeeReader(file, progress))
	_ = progress.Finish()
	if err != nil {
		return 1, err
	}
	defer response.Body.Close()
	fmt.Println("restored")
	return 0, nil
}

// newProgress shows how far something is, on a terminal, once it has taken a
// moment. Size is -1 where it is not known.
func newProgress(what string, size int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(size,
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(200*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetVisibility(term.IsTerminal(int(os.Stderr.Fd()))),
	)
}
