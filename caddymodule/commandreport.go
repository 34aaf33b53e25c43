package caddymodule

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// usersReport counts people.
type usersReport struct {
	Users            int                  `json:"users"`
	Enrolled         int                  `json:"enrolled"`
	Methods          map[factor.Type]int  `json:"methods"`
	MailOnly         int                  `json:"mail_only"`
	WithoutCodes     int                  `json:"without_backup_codes"`
	Locked           int                  `json:"locked"`
	MustEnroll       int                  `json:"must_enroll"`
	Organizations    []organizationReport `json:"organizations"`
	NoOrganization   int                  `json:"no_organization"`
	NotEnrolledNames []string             `json:"not_enrolled"`
}

type organizationReport struct {
	Issuer   string `json:"issuer"`
	Name     string `json:"name"`
	Users    int    `json:"users"`
	Enrolled int    `json:"enrolled"`
}

func (report *usersReport) add(a adminAccount, organizations map[[2]string]*organizationReport) {
	report.Users++
	if a.Enrolled {
		report.Enrolled++
		if a.BackupCodes == 0 {
			report.WithoutCodes++
		}
	} else {
		report.NotEnrolledNames = append(report.NotEnrolledNames, a.Subject)
	}
	for _, t := range a.Methods {
		report.Methods[t]++
	}
	if len(a.Methods) == 1 && a.Methods[0] == factor.TypeMagicLink {
		report.MailOnly++
	}
	if a.CodesOff || a.LockedUntil != nil {
		report.Locked++
	}
	if a.MustEnroll {
		report.MustEnroll++
	}
	if len(a.Organizations) == 0 {
		report.NoOrganization++
	}
	for _, name := range a.Organizations {
		key := [2]string{a.Issuer, name}
		if organizations[key] == nil {
			organizations[key] = &organizationReport{Issuer: a.Issuer, Name: name}
		}
		organizations[key].Users++
		if a.Enrolled {
			organizations[key].Enrolled++
		}
	}
}

func reportUsers(flags caddycmd.Flags) (int, error) {
	report := usersReport{Methods: make(map[factor.Type]int), NotEnrolledNames: []string{}, Organizations: []organizationReport{}}
	organizations := make(map[[2]string]*organizationReport)
	if err := eachUser(flags, func(a adminAccount) { report.add(a, organizations) }); err != nil {
		return 1, err
	}
	for _, key := range slices.SortedFunc(maps.Keys(organizations), func(a, b [2]string) int {
		return strings.Compare(a[1]+"\x00"+a[0], b[1]+"\x00"+b[0])
	}) {
		report.Organizations = append(report.Organizations, *organizations[key])
	}
	slices.Sort(report.NotEnrolledNames)
	if flags.Bool("json") {
		return printJSON(report)
	}
	table := newTable()
	table.row("Users seen", fmt.Sprint(report.Users))
	table.row("Enrolled", share(report.Enrolled, report.Users))
	for _, t := range []factor.Type{factor.TypeTOTP, factor.TypePasskey, factor.TypeMagicLink} {
		table.row("  with "+string(t), fmt.Sprint(report.Methods[t]))
	}
	table.row("  by mail alone", fmt.Sprint(report.MailOnly))
	table.row("  without backup codes", fmt.Sprint(report.WithoutCodes))
	table.row("Locked", fmt.Sprint(report.Locked))
	table.row("Must enroll", fmt.Sprint(report.MustEnroll))
	if code, err := table.print(); err != nil || len(report.Organizations) == 0 {
		return code, err
	}
	fmt.Println()
	table = newTable("ORGANIZATION", "ISSUER", "USERS", "ENROLLED")
	for _, o := range report.Organizations {
		table.row(o.Name, orDash(o.Issuer), fmt.Sprint(o.Users), share(o.Enrolled, o.Users))
	}
	return table.print()
}

func share(n, of int) string {
	if of == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%d%%)", n, 100*n/of)
}
