package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/option"
	"github.com/caddymfa/caddy-mfa/mfa"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("mfa", parseGlobalOption)
	httpcaddyfile.RegisterHandlerDirective("mfa", parseDirective)
	httpcaddyfile.RegisterDirective("mfa_require", parseRequire)
	httpcaddyfile.RegisterHandlerDirective("mfa_demo", parseDemo)
	// A plugin's directive stands relative to Caddy's own only. What comes
	// last stands first: forward_auth, mfa, mfa_require.
	httpcaddyfile.RegisterDirectiveOrder("mfa_require", httpcaddyfile.After, "forward_auth")
	httpcaddyfile.RegisterDirectiveOrder("mfa", httpcaddyfile.After, "forward_auth")
	// It answers everything that comes to it.
	httpcaddyfile.RegisterDirectiveOrder("mfa_demo", httpcaddyfile.Before, "reverse_proxy")
}

// parseGlobalOption reads the global option mfa into the JSON of the app.
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next() // mfa
	if existing != nil {
		return nil, d.Err("the global option mfa is given twice: keep one block")
	}
	if err := option.NoValue(d); err != nil {
		return nil, err
	}
	app := new(App)
	if err := app.parse(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "mfa", Value: caddyconfig.JSON(app, nil)}, nil
}

// parseDirective reads the directive mfa, which takes no options: they are
// global.
func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next() // mfa
	if h.NextArg() {
		return nil, h.Errf("the directive mfa takes no value, not %q: its options stand in the global option mfa", h.Val())
	}
	if h.NextBlock(h.Nesting()) {
		return nil, h.Errf("the directive mfa takes no options here: move %q into the global option mfa", h.Val())
	}
	return new(Handler), nil
}

// parse reads the block of the global option:
//
//	mfa {
//		bearer { … }
//		store <engine> { … }
//		key_file <path>
//		public_url <url...>
//		issuer <name>
//		magic_link { … }
//		passkey { … }
//		totp { … }
//		lockout { … }
//		backup_codes <number>
//		token_lifetime <duration>
//		session_lifetime <duration>
//		admin_roles <role...>
//		page { … } | off
//		cors_origins <origin...>
//		enrollment_max_auth_age <duration>
//		step_up strongest | any
//		upgrades <protocol...>
//		prefix <path>
//	}
func (a *App) parse(d *caddyfile.Dispenser) error {
	return option.Block(d, "mfa", map[string]option.Parser{
		"bearer": func(d *caddyfile.Dispenser) error {
			a.Bearer = new(Bearer)
			return a.Bearer.parse(d)
		},
		"store":      a.parseStore,
		"key_file":   option.Text(&a.KeyFile),
		"public_url": option.Texts(&a.PublicURLs),
		"issuer":     option.Text(&a.Issuer),
		"magic_link": func(d *caddyfile.Dispenser) error {
			a.MagicLink = new(MagicLink)
			return a.MagicLink.parse(d)
		},
		"passkey": func(d *caddyfile.Dispenser) error {
			a.Passkey = new(Passkey)
			return a.Passkey.parse(d)
		},
		"totp": func(d *caddyfile.Dispenser) error {
			a.TOTP = new(TOTP)
			return a.TOTP.parse(d)
		},
		"lockout": func(d *caddyfile.Dispenser) error {
			a.Lockout = new(Lockout)
			return a.Lockout.parse(d)
		},
		"page": func(d *caddyfile.Dispenser) error {
			a.Page = new(Page)
			return a.Page.parse(d)
		},
		"token_lifetime":          option.PositiveDuration(&a.TokenLifetime),
		"session_lifetime":        option.PositiveDuration(&a.SessionLifetime),
		"admin_roles":             option.Texts(&a.AdminRoles),
		"backup_codes":            option.Number(&a.BackupCodes, mfa.MinBackupCodes),
		"cors_origins":            option.Texts(&a.CORSOrigins),
		"enrollment_max_auth_age": option.Duration(&a.EnrollmentMaxAuthAge),
		"step_up":                 option.Text((*string)(&a.StepUp)),
		"upgrades":                option.Texts(&a.Upgrades),
		"prefix":                  option.Text(&a.Prefix),
	})
}

// parseStore reads the engine of
//
//	store <engine> { … }
//
// whose options its own module knows.
func (a *App) parseStore(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.WrapErr(checkEngine(""))
	}
	engine := d.Val()
	if err := checkEngine(engine); err != nil {
		return d.WrapErr(err)
	}
	module, err := caddyfile.UnmarshalModule(d, "mfa.stores."+engine)
	if err != nil {
		return err
	}
	a.StoreRaw = caddyconfig.JSONModuleObject(module, "engine", engine, nil)
	return nil
}

// parse reads
//
//	bearer {
//		jwks_url <url> | jwks_file <path> | public_key <path> | oidc <issuer> | hmac_secret <secret> [base64] | dev
//		issuer <iss>
//		audience <aud...>
//		clock_skew <duration>
//		cookie <name>
//		claim subject|email|organization|roles <claim>
//		trust_amr <value...>
//	}
//
// or, in short, bearer dev.
func (b *Bearer) parse(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		if d.Val() != "dev" || d.NextArg() {
			return d.Errf("bearer: give its options in a block, or only `bearer dev`")
		}
		b.Dev = true
	}
	return option.Block(d, "bearer", map[string]option.Parser{
		"jwks_url":    option.Text(&b.JWKSURL),
		"jwks_file":   option.Text(&b.JWKSFile),
		"public_key":  option.Text(&b.PublicKey),
		"oidc":        option.Text(&b.OIDC),
		"hmac_secret": b.parseHMACSecret,
		"dev":         option.Flag(&b.Dev),
		"issuer":      option.Text(&b.Issuer),
		"audience":    option.Texts(&b.Audience),
		"clock_skew":  option.OptionalDuration(&b.ClockSkew),
		"cookie":      option.Text(&b.Cookie),
		"claim":       b.parseClaim,
		"trust_amr":   option.Texts(&b.TrustAMR),
	}, "claim")
}

func (b *Bearer) parseHMACSecret(d *caddyfile.Dispenser) error {
	// The secret itself is in no error: it would end up in logs.
	switch arguments := d.RemainingArgs(); {
	case len(arguments) == 0 || arguments[0] == "":
		return d.Err("hmac_secret: give the secret, best as {env.NAME} or {file.PATH}")
	case len(arguments) == 2 && arguments[1] == "base64":
		b.HMACSecretBase64 = true
		fallthrough
	case len(arguments) == 1:
		b.HMACSecret = arguments[0]
		return nil
	}
	return d.Err("hmac_secret: takes the secret, and the word base64 where it is encoded so (quote a secret that has spaces)")
}

func (b *Bearer) parseClaim(d *caddyfile.Dispenser) error {
	var field, claim string
	if !d.AllArgs(&field, &claim) {
		return d.Err("claim: say which field is read from which claim, for instance claim subject userId")
	}
	if _, twice := b.Claims[field]; twice {
		return d.Errf("claim: %s is given twice", field)
	}
	if b.Claims == nil {
		b.Claims = make(map[string]string)
	}
	b.Claims[field] = claim
	return nil
}

// parse reads
//
//	magic_link {
//		from <mailbox>
//		smtp <host:port> {
//			username <name>
//			password <password>
//			tls starttls | implicit | none
//			helo <name>
//			ca <path>
//		}
//		directory <path>
//		expiry <duration>
//		addresses any | claim
//	}
func (m *MagicLink) parse(d *caddyfile.Dispenser) error {
	if err := option.NoValue(d); err != nil {
		return err
	}
	return option.Block(d, "magic_link", map[string]option.Parser{
		"from": option.Text(&m.From),
		"smtp": func(d *caddyfile.Dispenser) error {
			m.SMTP = new(SMTP)
			if err := option.Text(&m.SMTP.Address)(d); err != nil {
				return err
			}
			return option.Block(d, "smtp", map[string]option.Parser{
				"username": option.Text(&m.SMTP.Username),
				"password": option.Text(&m.SMTP.Password),
				"tls":      option.Text(&m.SMTP.TLS),
				"helo":     option.Text(&m.SMTP.Helo),
				"ca":       option.Text(&m.SMTP.CA),
			})
		},
		"directory": option.Text(&m.Directory),
		"expiry":    option.PositiveDuration(&m.Expiry),
		"addresses": option.Text(&m.Addresses),
	})
}

// parse reads
//
//	passkey {
//		rp_id <domain>
//		origins <origin...>
//		user_verification required | preferred | discouraged
//	}
func (p *Passkey) parse(d *caddyfile.Dispenser) error {
	if err := option.NoValue(d); err != nil {
		return err
	}
	return option.Block(d, "passkey", map[string]option.Parser{
		"rp_id":             option.Text(&p.RPID),
		"origins":           option.Texts(&p.Origins),
		"user_verification": option.Text(&p.UserVerification),
	})
}

// parse reads
//
//	totp {
//		skew <steps>
//	}
func (t *TOTP) parse(d *caddyfile.Dispenser) error {
	if err := option.NoValue(d); err != nil {
		return err
	}
	return option.Block(d, "totp", map[string]option.Parser{
		"skew": func(d *caddyfile.Dispenser) error {
			var steps int
			if err := option.Number(&steps, 0)(d); err != nil {
				return err
			}
			unsigned := uint(steps)
			t.Skew = &unsigned
			return nil
		},
	})
}
