package caddymodule

import (
	"fmt"
	"maps"
	"slices"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/option"
)

// expandPlaceholders expands every option that is a text.
func (a *App) expandPlaceholders() error {
	texts := map[string]*string{
		"key_file": &a.KeyFile,
		"issuer":   &a.Issuer,
		"prefix":   &a.Prefix,
		"step_up":  (*string)(&a.StepUp),
	}
	for i := range a.PublicURLs {
		texts[fmt.Sprintf("public_url %d", i+1)] = &a.PublicURLs[i]
	}
	for i := range a.CORSOrigins {
		texts[fmt.Sprintf("cors_origins %d", i+1)] = &a.CORSOrigins[i]
	}
	for i := range a.Upgrades {
		texts[fmt.Sprintf("upgrades %d", i+1)] = &a.Upgrades[i]
	}
	for i := range a.AdminRoles {
		texts[fmt.Sprintf("admin_roles %d", i+1)] = &a.AdminRoles[i]
	}
	if p := a.Page; p != nil {
		texts["page: title"] = &p.Title
		texts["page: logo"] = &p.Logo
		texts["page: accent"] = &p.Accent
		texts["page: login_url"] = &p.LoginURL
		for i := range p.FrameAncestors {
			texts[fmt.Sprintf("page: frame_ancestors %d", i+1)] = &p.FrameAncestors[i]
		}
	}
	if m := a.MagicLink; m != nil {
		texts["magic_link: from"] = &m.From
		texts["magic_link: directory"] = &m.Directory
		texts["magic_link: addresses"] = &m.Addresses
		if m.SMTP != nil {
			texts["magic_link: smtp"] = &m.SMTP.Address
			texts["magic_link: smtp: username"] = &m.SMTP.Username
			texts["magic_link: smtp: password"] = &m.SMTP.Password
			texts["magic_link: smtp: tls"] = &m.SMTP.TLS
			texts["magic_link: smtp: helo"] = &m.SMTP.Helo
			texts["magic_link: smtp: ca"] = &m.SMTP.CA
		}
	}
	if p := a.Passkey; p != nil {
		texts["passkey: rp_id"] = &p.RPID
		texts["passkey: user_verification"] = &p.UserVerification
		for i := range p.Origins {
			texts[fmt.Sprintf("passkey: origins %d", i+1)] = &p.Origins[i]
		}
	}
	if err := option.ExpandAll(texts); err != nil {
		return err
	}
	if a.Bearer == nil {
		return nil
	}
	return a.Bearer.expandPlaceholders()
}

func (b *Bearer) expandPlaceholders() error {
	texts := map[string]*string{
		"bearer: jwks_url":    &b.JWKSURL,
		"bearer: jwks_file":   &b.JWKSFile,
		"bearer: public_key":  &b.PublicKey,
		"bearer: oidc":        &b.OIDC,
		"bearer: hmac_secret": &b.HMACSecret,
		"bearer: issuer":      &b.Issuer,
		"bearer: cookie":      &b.Cookie,
	}
	for i := range b.Audience {
		texts[fmt.Sprintf("bearer: audience %d", i+1)] = &b.Audience[i]
	}
	for i := range b.TrustAMR {
		texts[fmt.Sprintf("bearer: trust_amr %d", i+1)] = &b.TrustAMR[i]
	}
	for _, field := range slices.Sorted(maps.Keys(b.Claims)) {
		claim := b.Claims[field]
		if err := option.Expand("bearer: claim "+field, &claim); err != nil {
			return err
		}
		b.Claims[field] = claim
	}
	return option.ExpandAll(texts)
}

// expandPlaceholders expands every option of the gate that is a text.
func (g *Gate) expandPlaceholders() error {
	texts := map[string]*string{"acr": &g.ACR, "enrollment": &g.Enrollment}
	for i := range g.Paths {
		texts[fmt.Sprintf("path %d", i+1)] = &g.Paths[i]
	}
	for i := range g.Query {
		texts[fmt.Sprintf("query %d", i+1)] = &g.Query[i]
	}
	for i := range g.Methods {
		texts[fmt.Sprintf("methods %d", i+1)] = &g.Methods[i]
	}
	for i := range g.Except {
		e := &g.Except[i]
		texts[fmt.Sprintf("except %d: claim", i+1)] = &e.Claim
		for j := range e.Values {
			texts[fmt.Sprintf("except %d: value %d", i+1, j+1)] = &e.Values[j]
		}
	}
	return option.ExpandAll(texts)
}
