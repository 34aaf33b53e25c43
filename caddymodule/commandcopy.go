package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddymfa/caddy-mfa/mfa"
)

func copyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "copy --from <store> --to <store> [--close] [--overwrite] [--adapter <name>]",
		Short: "Copies all records from one store to another, of whatever engines",
		Long: `
Copies all records from one store to another, of whatever engines, and
verifies the copy by counts and a checksum of both. Records stay sealed: the
key file goes along. A store is named by

  a configuration file, whose global option mfa has it,
  bolt:<path>, for a database file,
  backup:<file>, for a file of ` + "`caddy mfa backup`" + `, which is only read, or
  JSON, such as '{"engine":"postgres","dsn":"{env.MFA_DSN}"}'.

An embedded database that a server has open cannot be copied: stop the server,
or copy a backup. A store that other nodes write to can: what they write in the
meantime is copied too, what they write afterwards is not. With --close the
source is closed first, for good: its nodes answer 503 until they serve from
the new store, and nothing is lost.

No node starts from a copy that is not whole. A copy that was broken off goes
on when the command is run again.`,
		Example: `  caddy mfa copy --from bolt:data/mfa.db --to new.Caddyfile --close`,
		Args:    cobra.NoArgs,
		RunE:    caddycmd.WrapCommandFuncForCobra(copyStore),
	}
	cmd.Flags().StringP("from", "f", "", "The source (required)")
	cmd.Flags().StringP("to", "t", "", "The destination")
	cmd.Flags().StringP("adapter", "a", "", "Name of config adapter to apply to configuration files")
	cmd.Flags().Bool("overwrite", false, "Replace all that the destination holds")
	cmd.Flags().Bool("close", false, "Close the source for good, so that nothing is written there any more")
	cmd.Flags().Bool("reopen", false, "Copy nothing, but open a source again that --close has closed")
	cmd.MarkFlagsOneRequired("to", "reopen")
	cmd.MarkFlagsMutuallyExclusive("to", "reopen")
	yesFlag(cmd)
	jsonFlag(cmd)
	return cmd
}

// copyResult is what `copy` prints as JSON.
type copyResult struct {
	Kinds        []copiedKind `json:"kinds"`
	Documents    int          `json:"documents"`
	SHA256       string       `json:"sha256"`
	Written      int          `json:"written"`
	Removed      int          `json:"removed"`
	Passes       int          `json:"passes"`
	SourceClosed bool         `json:"source_closed"`
}

type copiedKind struct {
	Name      string `json:"name"`
	Documents int    `json:"documents"`
	Bytes     int64  `json:"bytes"`
}

func copyStore(flags caddycmd.Flags) (int, error) {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if flags.String("from") == "" {
		return 1, errors.New("--from is required: say which store is copied")
	}
	from, err := openNamed(ctx, "--from", flags.String("from"), flags.String("adapter"), func(*namedStore) error { return nil })
	if err != nil {
		return 1, err
	}
	defer from.release()
	if flags.Bool("reopen") {
		return reopen(ctx, flags, from)
	}
	to, err := openDestination(ctx, flags, from)
	if err != nil {
		return 1, err
	}
	defer to.release()
	result, err := transfer(ctx, flags, from, to)
	if err != nil {
		return 1, err
	}
	if flags.Bool("json") {
		return printJSON(result)
	}
	return result.print(from)
}

// openDestination opens the other store, once it is sure that it is one.
func openDestination(ctx context.Context, flags caddycmd.Flags, from *namedStore) (*namedStore, error) {
	if err := from.checkKeyFile(ctx, from); err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	return openNamed(ctx, "--to", flags.String("to"), flags.String("adapter"), func(to *namedStore) error {
		if to.key == from.key {
			return errors.New("it is the same store")
		}
		if err := to.checkKeyFile(ctx, from); err != nil || !flags.Bool("overwrite") {
			return err
		}
		return confirm(flags, "Replace all that "+to.title()+" holds? This cannot be undone.")
	})
}

// transfer copies, with the source closed if that is wanted. A source that it
// has closed is opened again when the copy fails. The destination is marked as
// unfinished before that: whatever kills this command, at most one of the two
// serves.
func transfer(ctx context.Context, flags caddycmd.Flags, from, to *namedStore) (result copyResult, err error) {
	if !flags.Bool("close") {
		return copyInto(ctx, flags, from, to, nil)
	}
	closed := false
	defer func() {
		if err == nil || !closed {
			return
		}
		// Also when the command was interrupted.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if _, failed := mfa.ReopenStore(ctx, from.store); failed != nil {
			err = errors.Join(err, fmt.Errorf("opening the source again, which you can do with --reopen: %w", failed))
		}
	}()
	result, err = copyInto(ctx, flags, from, to, func(ctx context.Context) (err error) {
		if closed, err = mfa.CloseStore(ctx, from.store); err != nil {
			return fmt.Errorf("closing source: %w", err)
		}
		if !from.shared() {
			return nil
		}
		return awaitNodes(ctx)
	})
	result.SourceClosed = true
	return result, err
}

// awaitNodes waits until the nodes of a closed store have seen that it is,
// and ended what they were about.
func awaitNodes(ctx context.Context) error {
	progress := newCount("waiting for the nodes of the source")
	defer func() { _ = progress.Finish() }()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for end := time.Now().Add(2 * mfa.KeyPoll); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			_ = progress.Add(1)
		}
	}
	return nil
}

// copyInto copies; marked is called once the destination serves nobody.
func copyInto(ctx context.Context, flags caddycmd.Flags, from, to *namedStore, marked func(context.Context) error) (copyResult, error) {
	progress := newCount("copying and verifying")
	copied, err := mfa.Copy(ctx, from.store, to.store, mfa.CopyOptions{
		Overwrite: flags.Bool("overwrite"),
		Progress:  func(documents int) { _ = progress.Add(documents) },
		Marked:    marked,
	})
	_ = progress.Finish()
	if errors.Is(err, mfa.ErrDestinationInUse) {
		return copyResult{}, fmt.Errorf("copying: %s: %w: name another, or replace them with --overwrite", to.title(), err)
	}
	if err != nil {
		return copyResult{}, fmt.Errorf("copying: %w", err)
	}
	result := copyResult{
		Documents: copied.Documents, SHA256: copied.SHA256,
		Written: copied.Written, Removed: copied.Removed, Passes: copied.Passes,
	}
	for _, kind := range copied.Kinds {
		result.Kinds = append(result.Kinds, copiedKind(kind))
	}
	return result, nil
}

func (r copyResult) print(from *namedStore) (int, error) {
	table := newTable("KIND", "DOCUMENTS", "BYTES")
	var bytes int64
	for _, kind := range r.Kinds {
		if kind.Documents > 0 {
			table.row(kind.Name, fmt.Sprint(kind.Documents), fmt.Sprint(kind.Bytes))
		}
		bytes += kind.Bytes
	}
	table.row("all", fmt.Sprint(r.Documents), fmt.Sprint(bytes))
	if code, err := table.print(); err != nil {
		return code, err
	}
	fmt.Printf("\nBoth stores have the SHA-256 %s.\n", r.SHA256)
	switch {
	case r.SourceClosed:
		fmt.Println("The source is closed: start Caddy with the new store, and the same key file.")
	case from.shared():
		fmt.Println("What is written to the source from now on is not in the copy: see --close.")
	}
	return 0, nil
}

func reopen(ctx context.Context, flags caddycmd.Flags, from *namedStore) (int, error) {
	if err := confirm(flags, "Open "+from.title()+" again? What has happened since it was closed is not in it: spent codes are good again, resets undone."); err != nil {
		return 1, err
	}
	changed, err := mfa.ReopenStore(ctx, from.store)
	if err != nil {
		return 1, fmt.Errorf("opening store again: %w", err)
	}
	if flags.Bool("json") {
		return printJSON(map[string]bool{"reopened": changed})
	}
	if !changed {
		return done(nil, "it is open")
	}
	return done(nil, "reopened")
}
