package caddymodule

import (
	"net/http"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func keysCommand() *cobra.Command {
	keys := &cobra.Command{
		Use:   "keys",
		Short: "Works with the keys that assertions are signed with",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	keys.AddCommand(userCommand("rotate", "Makes a new key for assertions, which signs ten minutes after it is published", cobra.NoArgs, rotateKeys, yesFlag,
		func(cmd *cobra.Command) {
			cmd.Flags().Bool("revoke", false, "Sign with the new key at once and void all assertions signed before")
		}))
	return keys
}

func rotateKeys(flags caddycmd.Flags) (int, error) {
	uri := "/mfa/keys/rotate"
	if flags.Bool("revoke") {
		if err := confirm(flags, "Void all assertions that were signed before? People have to refresh or verify again."); err != nil {
			return 1, err
		}
		uri += "?revoke=true"
	}
	return done(adminJSON(flags, http.MethodPost, uri, nil), "rotated")
}
