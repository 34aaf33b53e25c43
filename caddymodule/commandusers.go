package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/legible"
)

func usersCommand() *cobra.Command {
	users := &cobra.Command{
		Use:   "users",
		Short: "Shows and helps the people who have a second factor",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	users.AddCommand(
		userCommand("list", "Lists who is enrolled with what", cobra.NoArgs, listUsers, jsonFlag),
		userCommand("show <subject>", "Shows all that is kept of a person, but for secrets", cobra.ExactArgs(1), showUser, jsonFlag, issuerFlag),
		userCommand("reset <subject>", "Removes a person's factors, backup codes and sessions", cobra.ExactArgs(1), resetUser, issuerFlag, yesFlag, func(cmd *cobra.Command) {
			cmd.Flags().BoolP("must-enroll", "m", false, "Demand a new factor at the next gate, also an optional one")
		}),
		userCommand("unlock <subject>", "Opens code entry that wrong codes have locked", cobra.ExactArgs(1), unlockUser, issuerFlag),
		userCommand("delete <subject>", "Deletes all that is kept of a person", cobra.ExactArgs(1), deleteUser, issuerFlag, yesFlag),
		userCommand("report", "Counts who is enrolled, in all and by organization", cobra.NoArgs, reportUsers, jsonFlag),
	)
	return users
}

// userCommand makes a command that talks to the running server.
func userCommand(use, short string, args cobra.PositionalArgs, run caddycmd.CommandFunc, flags ...func(*cobra.Command)) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  args,
		Long:  "\n" + short + ".\n\nThe running server is asked, through its admin API.",
		RunE:  caddycmd.WrapCommandFuncForCobra(run),
	}
	cmd.Flags().String("address", "", "Address of the admin API listener, if not that of the configuration")
	cmd.Flags().StringP("config", "c", "", "Configuration file, to find the admin API's address in")
	cmd.Flags().StringP("adapter", "a", "", "Name of config adapter to apply (when --config is used)")
	for _, add := range flags {
		add(cmd)
	}
	return cmd
}

func jsonFlag(cmd *cobra.Command) { cmd.Flags().Bool("json", false, "Print JSON") }

func issuerFlag(cmd *cobra.Command) {
	cmd.Flags().StringP("issuer", "i", "", "Issuer of the person's tokens, where several know the subject")
}

func yesFlag(cmd *cobra.Command) { cmd.Flags().BoolP("yes", "y", false, "Do not ask") }

// adminRequest asks the admin API of the running server.
func adminRequest(flags caddycmd.Flags, method, uri string, body io.Reader) (*http.Response, error) {
	address, err := caddycmd.DetermineAdminAPIAddress(flags.String("address"), nil, flags.String("config"), flags.String("adapter"))
	if err != nil {
		return nil, fmt.Errorf("finding admin API: %w", err)
	}
	return caddycmd.AdminAPIRequest(address, method, uri, nil, body)
}

// adminJSON asks the admin API and decodes its answer, if into is not nil.
func adminJSON(flags caddycmd.Flags, method, uri string, into any) error {
	response, err := adminRequest(flags, method, uri, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("reading answer: %w", err)
	}
	return nil
}

// userQuery names the person that the command is about.
func userQuery(flags caddycmd.Flags) url.Values {
	query := url.Values{"subject": {flags.Arg(0)}}
	if flags.Changed("issuer") {
		query.Set("issuer", flags.String("issuer"))
	}
	return query
}

// eachUser calls visit with every record.
func eachUser(flags caddycmd.Flags, visit func(adminAccount)) error {
	for cursor := ""; ; {
		var page adminPage
		if err := adminJSON(flags, http.MethodGet, "/mfa/users?"+url.Values{"limit": {"500"}, "cursor": {cursor}}.Encode(), &page); err != nil {
			return err
		}
		for _, account := range page.Users {
			visit(account)
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}

func listUsers(flags caddycmd.Flags) (int, error) {
	accounts := []adminAccount{}
	if err := eachUser(flags, func(a adminAccount) { accounts = append(accounts, a) }); err != nil {
		return 1, err
	}
	slices.SortFunc(accounts, func(a, b adminAccount) int {
		return strings.Compare(a.Subject+"\x00"+a.Issuer, b.Subject+"\x00"+b.Issuer)
	})
	if flags.Bool("json") {
		return printJSON(accounts)
	}
	table := newTable("SUBJECT", "ISSUER", "METHODS", "BACKUP CODES", "LAST USED", "STATE")
	for _, a := range accounts {
		table.row(a.Subject, orDash(a.Issuer), orDash(joinTypes(a.Methods)), fmt.Sprint(a.BackupCodes), orDash(a.lastUsed()), orDash(a.state()))
	}
	return table.print()
}

// lastUsed is when any factor was shown last.
func (a adminAccount) lastUsed() string {
	var last time.Time
	for _, c := range a.Credentials {
		if c.LastUsedAt != nil && c.LastUsedAt.After(last) {
			last = *c.LastUsedAt
		}
	}
	if last.IsZero() {
		return ""
	}
	return last.UTC().Format(time.RFC3339)
}

// organizations lists those that the person was seen in.
func (a adminAccount) organizations() string {
	names := strings.Join(a.Organizations, ", ")
	if a.More {
		names += ", and more than are kept"
	}
	return names
}

// state is what an operator may have to do something about.
func (a adminAccount) state() string {
	var states []string
	if a.CodesOff {
		states = append(states, "codes off")
	} else if a.LockedUntil != nil {
		states = append(states, "locked until "+a.LockedUntil.UTC().Format(time.RFC3339))
	}
	if a.MustEnroll {
		states = append(states, "must enroll")
	}
	if len(a.Pending) > 0 {
		states = append(states, "setting up "+joinTypes(a.Pending))
	}
	return strings.Join(states, ", ")
}

// backupCodes says how many are left and, where a mail bought them, that they
// are worth no more.
func (a adminAccount) backupCodes() string {
	if a.BackupCodesACR == mfa.ACRMail {
		return fmt.Sprintf("%d (of level %s)", a.BackupCodes, a.BackupCodesACR)
	}
	return fmt.Sprint(a.BackupCodes)
}

func showUser(flags caddycmd.Flags) (int, error) {
	var a adminAccount
	if err := adminJSON(flags, http.MethodGet, "/mfa/user?"+userQuery(flags).Encode(), &a); err != nil {
		return 1, err
	}
	if flags.Bool("json") {
		return printJSON(a)
	}
	table := newTable()
	for _, row := range [][2]string{
		{"Subject", a.Subject}, {"Issuer", a.Issuer}, {"E-mail", a.Email},
		{"Organizations", a.organizations()}, {"Methods", joinTypes(a.Methods)},
		{"Primary", string(a.Primary)}, {"Backup codes", a.backupCodes()}, {"State", a.state()},
	} {
		table.row(row[0], orDash(row[1]))
	}
	if code, err := table.print(); err != nil {
		return code, err
	}
	if len(a.Credentials) > 0 {
		fmt.Println()
		table = newTable("ID", "TYPE", "NAME", "CREATED", "LAST USED", "ENABLED")
		for _, c := range a.Credentials {
			used := "never"
			if c.LastUsedAt != nil {
				used = c.LastUsedAt.UTC().Format(time.RFC3339)
			}
			table.row(c.ID, string(c.Type), c.Name, c.CreatedAt.UTC().Format(time.RFC3339), used, yesNo(c.Enabled))
		}
		return table.print()
	}
	return 0, nil
}

func resetUser(flags caddycmd.Flags) (int, error) {
	if err := confirm(flags, fmt.Sprintf("Remove all factors, backup codes and sessions of %q?", flags.Arg(0))); err != nil {
		return 1, err
	}
	query := userQuery(flags)
	if flags.Bool("must-enroll") {
		query.Set("must_enroll", "true")
	}
	return done(adminJSON(flags, http.MethodPost, "/mfa/user/reset?"+query.Encode(), nil), "reset")
}

func unlockUser(flags caddycmd.Flags) (int, error) {
	return done(adminJSON(flags, http.MethodPost, "/mfa/user/unlock?"+userQuery(flags).Encode(), nil), "unlocked")
}

func deleteUser(flags caddycmd.Flags) (int, error) {
	if err := confirm(flags, fmt.Sprintf("Delete all that is kept of %q? This cannot be undone.", flags.Arg(0))); err != nil {
		return 1, err
	}
	return done(adminJSON(flags, http.MethodDelete, "/mfa/user?"+userQuery(flags).Encode(), nil), "deleted")
}

func joinTypes(types []factor.Type) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = string(t)
	}
	return strings.Join(names, ", ")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func printJSON(v any) (int, error) {
	encoded, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return 1, err
	}
	if _, err := fmt.Println(legible.Escape(string(encoded))); err != nil {
		return 1, err
	}
	return 0, nil
}

func done(err error, what string) (int, error) {
	if err != nil {
		return 1, err
	}
	fmt.Println(what)
	return 0, nil
}

// table prints columns for people.
type table struct{ w *tabwriter.Writer }

func newTable(heads ...string) table {
	t := table{tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)}
	if len(heads) > 0 {
		t.row(heads...)
	}
	return t
}

func (t table) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = legible.Text(cell)
	}
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

func (t table) print() (int, error) {
	if err := t.w.Flush(); err != nil {
		return 1, err
	}
	return 0, nil
}
