package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func keysCommand() *cobra.Command {
	keys := &cobra.Command{
		Use:   "keys",
		Short: "Works with the keys that sign assertions and seal what is stored",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	rotate := userCommand("rotate", "Makes a new key for assertions or, with --sealing, for what is stored", cobra.NoArgs, rotateKeys, yesFlag, jsonFlag,
		func(cmd *cobra.Command) {
			cmd.Flags().Bool("revoke", false, "Sign with the new key at once and void all assertions signed before")
			cmd.Flags().Bool("sealing", false, "Seal what is stored with a new key")
			cmd.MarkFlagsMutuallyExclusive("revoke", "sealing")
		})
	rotate.Long += `

A new key for assertions signs ten minutes after it is published.

With --sealing a new key is added to the key file, taken into use once every
node has it, and everything that is stored is sealed with it. Where other
nodes lack it, the command says to which the key file must be copied; copy it,
and run the command again. It can be repeated after any interruption. Older
keys stay in the key file until ` + "`caddy mfa keys retire`" + `.`
	retire := userCommand("retire", "Removes sealing keys from the key file that nothing needs any more", cobra.NoArgs, retireKeys, yesFlag, jsonFlag,
		func(cmd *cobra.Command) {
			cmd.Flags().Bool("all", false, "Also those that backup codes, refresh tokens and assertions need, which end")
		})
	retire.Long += "\n\nA backup that was made before the change of keys cannot be restored afterwards."
	keys.AddCommand(
		userCommand("list", "Lists all keys, and what needs them", cobra.NoArgs, listKeys, jsonFlag),
		rotate, retire, addKeyCommand(), removeKeyCommand(),
	)
	return keys
}

func rotateKeys(flags caddycmd.Flags) (int, error) {
	if flags.Bool("sealing") {
		return rotateSealing(flags)
	}
	uri := "/mfa/keys/rotate"
	if flags.Bool("revoke") {
		if err := confirm(flags, "Void all assertions that were signed before? People have to refresh or verify again."); err != nil {
			return 1, err
		}
		uri += "?revoke=true"
	}
	if err := adminJSON(flags, http.MethodPost, uri, nil); err != nil || !flags.Bool("json") {
		return done(err, "rotated")
	}
	var list adminKeyList
	if err := adminJSON(flags, http.MethodGet, "/mfa/keys", &list); err != nil {
		return 1, err
	}
	return printJSON(map[string]any{"signing": list.Signing})
}

func listKeys(flags caddycmd.Flags) (int, error) {
	var list adminKeyList
	if err := adminJSON(flags, http.MethodGet, "/mfa/keys", &list); err != nil {
		return 1, err
	}
	if flags.Bool("json") {
		return printJSON(list)
	}
	table := newTable("SIGNING KEY", "STATE", "FROM", "UNTIL")
	for _, k := range list.Signing {
		until, state := "", "verifies"
		if k.Until != nil {
			until = k.Until.UTC().Format(time.RFC3339)
		} else if !k.Signs {
			state = "published"
		}
		if k.Signs {
			state = "signs"
		}
		table.row(k.ID, state, k.From.UTC().Format(time.RFC3339), orDash(until))
	}
	if code, err := table.print(); err != nil {
		return code, err
	}
	fmt.Println()
	table = newTable("KEY OF THE KEY FILE", "FOR", "STATE", "NEEDED BY")
	for _, k := range list.Sealing {
		purpose := "what is stored"
		if k.Kind == "hashing" {
			purpose = "codes and refresh tokens"
		}
		table.row(k.ID.String(), purpose, k.state(list.Rotation), orDash(k.neededBy()))
	}
	if code, err := table.print(); err != nil {
		return code, err
	}
	if list.Rotation != nil {
		fmt.Println()
		return list.Rotation.print()
	}
	return 0, nil
}

func (k adminSealingKey) state(rotation *adminRotation) string {
	switch {
	case k.InUse:
		return "in use"
	case !k.InFile:
		return "missing"
	case rotation != nil && k.ID == rotation.Key:
		return "new"
	default:
		return "not in use"
	}
}

// neededBy tells what would be lost with the key.
func (k adminSealingKey) neededBy() string {
	var needs []string
	for _, need := range []struct {
		count     int
		one, many string
	}{
		{k.Documents, "document", "documents"},
		{k.BackupCodes, "person's backup codes", "people's backup codes"},
		{k.Sessions, "session", "sessions"},
	} {
		switch {
		case need.count == 1:
			needs = append(needs, "1 "+need.one)
		case need.count > 1:
			needs = append(needs, fmt.Sprint(need.count, " ", need.many))
		}
	}
	if k.TokensUntil != nil {
		needs = append(needs, "assertions until "+k.TokensUntil.UTC().Format(time.RFC3339))
	}
	return strings.Join(needs, ", ")
}

// print shows which nodes have the new key.
func (r adminRotation) print() (int, error) {
	table := newTable("NODE", "HAS KEY "+strings.ToUpper(r.Key.String()))
	for _, n := range r.Nodes {
		table.row(n.Node, yesNo(n.HasKey))
	}
	return table.print()
}

func retireKeys(flags caddycmd.Flags) (int, error) {
	uri, question := "/mfa/keys/retire", "Remove the older keys that nothing needs? Older backups cannot be restored then."
	if flags.Bool("all") {
		uri += "?all=true"
		question = "Remove all older keys? Backup codes, refresh tokens and assertions that need them end, and older backups cannot be restored."
	}
	if err := confirm(flags, question); err != nil {
		return 1, err
	}
	var retired adminRetired
	if err := adminJSON(flags, http.MethodPost, uri, &retired); err != nil {
		return 1, err
	}
	if flags.Bool("json") {
		if code, err := printJSON(retired); err != nil {
			return code, err
		}
	} else if len(retired.Removed)+len(retired.Kept) == 0 {
		fmt.Println("there is no key but those in use")
	} else {
		table := newTable("KEY", "FOR", "REMOVED", "NEEDED BY")
		for _, k := range retired.Removed {
			table.row(k.ID.String(), k.Kind, "yes", "-")
		}
		for _, k := range retired.Kept {
			table.row(k.ID.String(), k.Kind, "no", orDash(k.neededBy()))
		}
		if code, err := table.print(); err != nil {
			return code, err
		}
		if len(retired.Removed) > 0 {
			fmt.Println("\nCopy the key file to the other nodes, if there are any, and to where its backups are kept.")
		}
	}
	if len(retired.Removed) == 0 && len(retired.Kept) > 0 {
		return 1, errors.New("nothing was removed: the older keys are still needed")
	}
	return 0, nil
}
