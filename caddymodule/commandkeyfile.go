package caddymodule

import (
	"fmt"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddymfa/caddy-mfa/mfa/legible"
	"github.com/caddymfa/caddy-mfa/mfa/seal"
)

func addKeyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add <key file>",
		Short: "Adds a new key to a key file that the server may not write",
		Args:  cobra.ExactArgs(1),
		Long: `
Adds a new sealing key to a key file. Nothing is sealed with it before
` + "`caddy mfa keys rotate --sealing`" + `, which adds one by itself where the server may
write its key file.`,
		RunE: caddycmd.WrapCommandFuncForCobra(func(flags caddycmd.Flags) (int, error) {
			pair, err := seal.AddKeys(flags.Arg(0))
			if err != nil {
				return 1, err
			}
			if flags.Bool("json") {
				return printJSON(pair)
			}
			fmt.Printf("%s: added key %s, and %s for hashes\n", legible.Text(flags.Arg(0)), pair.Sealing, pair.Hashing)
			return 0, nil
		}),
	}
	jsonFlag(cmd)
	return cmd
}

func removeKeyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove <key file> <id>...",
		Short: "Removes keys from a key file that the server may not write",
		Args:  cobra.MinimumNArgs(2),
		Long: `
Removes keys from a key file. ` + "`caddy mfa keys retire`" + ` does that by itself where the
server may write its key file, and tells which are needed no more.`,
		RunE: caddycmd.WrapCommandFuncForCobra(func(flags caddycmd.Flags) (int, error) {
			path, ids := flags.Arg(0), make([]seal.KeyID, flags.NArg()-1)
			for i := range ids {
				if err := ids[i].UnmarshalText([]byte(flags.Arg(i + 1))); err != nil {
					return 1, fmt.Errorf("%q: a key ID has eight hexadecimal digits, see `caddy mfa keys list`", flags.Arg(i+1))
				}
			}
			if err := confirm(flags, fmt.Sprintf("Remove %v from %s? What needs them cannot be read any more.", ids, path)); err != nil {
				return 1, err
			}
			return done(seal.RemoveKeys(path, ids), "removed")
		}),
	}
	yesFlag(cmd)
	return cmd
}
