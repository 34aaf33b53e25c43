package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/option"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "mfa",
		Short: "Works with multi-factor authentication",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args = cobra.NoArgs
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			cmd.AddCommand(tokenCommand(), usersCommand(), keysCommand(), backupCommand(), restoreCommand(), copyCommand())
		},
	})
}

func tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token --subject <subject> [--claim <name>=<value>]... [--lifetime <duration>] [--config <path> [--adapter <name>]]",
		Short: "Signs an access token of the dev issuer",
		Long: `
Signs an access token that a server with ` + "`bearer dev`" + ` accepts, and prints it.

The configuration is found as by ` + "`caddy run`" + `. A claim's value is taken as JSON
where it is JSON, such as true, 42 or ["a","b"], and as text otherwise.`,
		Example: `  caddy mfa token --subject alice --claim email=alice@example.com`,
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringP("subject", "s", "", "Whom the token speaks for (required)")
	cmd.Flags().StringArrayP("claim", "C", nil, "A further claim, as name=value; may be repeated")
	cmd.Flags().DurationP("lifetime", "l", time.Hour, "How long the token is valid")
	cmd.Flags().StringP("config", "c", "", "Configuration file")
	cmd.Flags().StringP("adapter", "a", "", "Name of config adapter to apply")
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(signToken)
	return cmd
}

func signToken(flags caddycmd.Flags) (int, error) {
	subject := flags.String("subject")
	if subject == "" {
		return 1, errors.New("--subject is required: say whom the token speaks for")
	}
	lifetime := flags.Duration("lifetime")
	if lifetime < time.Second {
		return 1, errors.New("--lifetime must be a second or more")
	}
	app, err := configuredApp(flags)
	if err != nil {
		return 1, err
	}
	if app.Bearer == nil || !app.Bearer.Dev {
		return 1, errors.New("the configuration has no `bearer dev`: only its own tokens can be signed here")
	}
	if err := app.Bearer.expandPlaceholders(); err != nil {
		return 1, err
	}
	given, err := flags.GetStringArray("claim")
	if err != nil {
		return 1, err
	}
	claims, err := app.Bearer.devClaims(subject, lifetime, given, time.Now())
	if err != nil {
		return 1, err
	}
	if _, err := os.Stat(app.devIssuerFile()); errors.Is(err, fs.ErrNotExist) {
		return 1, fmt.Errorf("there is no key at %s yet: start the server with this configuration first", app.devIssuerFile())
	}
	issuer, err := bearer.OpenDevIssuer(app.devIssuerFile())
	if err != nil {
		return 1, err
	}
	token, err := issuer.Sign(claims)
	if err != nil {
		return 1, fmt.Errorf("signing token: %w", err)
	}
	fmt.Println(token)
	return 0, nil
}

// configuredApp reads the app's part of the configuration that the flags
// name.
func configuredApp(flags caddycmd.Flags) (*App, error) {
	return appIn(flags.String("config"), flags.String("adapter"))
}

// appIn is configuredApp for a named file.
func appIn(name, adapter string) (*App, error) {
	config, file, _, err := caddycmd.LoadConfig(name, adapter)
	if err != nil {
		return nil, err
	}
	if file == "" {
		return nil, errors.New("there is no Caddyfile here: name the configuration with --config")
	}
	var parsed struct {
		Apps struct {
			MFA *App `json:"mfa"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &parsed); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	app := parsed.Apps.MFA
	if app == nil {
		return nil, fmt.Errorf("%s has no global option mfa", file)
	}
	if app.KeyFile == "" {
		app.KeyFile = defaultKeyFile
	}
	if err := option.Expand("key_file", &app.KeyFile); err != nil {
		return nil, err
	}
	return app, nil
}

// devClaims builds the claims of a token that b accepts.
func (b *Bearer) devClaims(subject string, lifetime time.Duration, given []string, now time.Time) (map[string]any, error) {
	claims := map[string]any{
		"iat": now.Unix(),
		"exp": now.Add(lifetime).Unix(),
	}
	if len(b.Audience) > 0 {
		claims["aud"] = b.Audience
	}
	claims[b.claimName("subject", "sub")] = subject
	for _, claim := range given {
		name, value, ok := strings.Cut(claim, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--claim %q is not of the form name=value", claim)
		}
		var parsed any
		if json.Unmarshal([]byte(value), &parsed) != nil {
			parsed = value
		}
		claims[name] = parsed
	}
	return claims, nil
}

// claimName is the claim that a field is read from.
func (b *Bearer) claimName(field, standard string) string {
	if name := b.Claims[field]; name != "" {
		return name
	}
	return standard
}
