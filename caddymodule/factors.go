package caddymodule

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/internal/loopback"
	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/magiclink"
	"github.com/caddymfa/caddy-mfa/mfa/mail"
	"github.com/caddymfa/caddy-mfa/mfa/passkey"
	"github.com/caddymfa/caddy-mfa/mfa/totp"
)

// MagicLink sets how links are mailed. Exactly one of SMTP and Directory
// must be given.
type MagicLink struct {
	// From is the sender of the mails, such as
	// "Acme <no-reply@example.com>". Required.
	From string `json:"from,omitempty"`

	// SMTP is the server that takes the mails.
	SMTP *SMTP `json:"smtp,omitempty"`

	// Directory is a folder that gets one .eml file for each mail, for
	// development. Only then addresses at localhost and at hosts without a
	// domain can be enrolled.
	Directory string `json:"directory,omitempty"`

	// Expiry is how long a link works, 24h at most. Default: 10m.
	Expiry caddy.Duration `json:"expiry,omitempty"`

	// Addresses is "any" for whatever address the person names and proves
	// to read, or "claim" for only the one that the access token claims.
	// Default: any.
	Addresses string `json:"addresses,omitempty"`
}

// SMTP is a mail server.
type SMTP struct {
	// Address is its host and port, such as mail.example.com:587. Required.
	Address string `json:"address,omitempty"`

	// Username and Password sign in to it. Default: no sign-in.
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`

	// TLS is starttls, implicit or none. Default: starttls.
	TLS string `json:"tls,omitempty"`

	// Helo is the host name that EHLO says. Default: the host of the first
	// public URL, or this machine's name where that is an IP address.
	Helo string `json:"helo,omitempty"`

	// CA is the path of a PEM file with certificates of authorities that may
	// vouch for the server, beside those of the system. It is read when the
	// configuration is loaded. Default: none.
	CA string `json:"ca,omitempty"`
}

// Passkey sets the WebAuthn relying party.
type Passkey struct {
	// RPID is the domain that passkeys are bound to. Changing it voids
	// them all. Default: the host of the public URL that the others are
	// within, else of the first.
	RPID string `json:"rp_id,omitempty"`

	// Origins are where passkeys may be made and used: sites, and apps for
	// Android as android:apk-key-hash:<SHA-256 of the signing certificate, in
	// base64url without padding>. Default: the public URLs at the domain or
	// below it.
	Origins []string `json:"origins,omitempty"`

	// UserVerification is required, preferred or discouraged: whether the
	// device checks a PIN or a fingerprint. Default: preferred.
	UserVerification string `json:"user_verification,omitempty"`
}

// TOTP sets what authenticator apps are granted.
type TOTP struct {
	// Skew is how many steps of 30 seconds before and after the current one are
	// accepted, 0 to 10. Default: 1.
	Skew *uint `json:"skew,omitempty"`
}

// provisionURLs checks the public URLs and what is derived from them.
func (a *App) provisionURLs() error {
	if len(a.PublicURLs) == 0 {
		return errors.New("public_url: missing: set it to the URL at which people reach the site, such as https://example.com")
	}
	for i, raw := range a.PublicURLs {
		origin, err := api.ParseOrigin(raw)
		if err != nil {
			return fmt.Errorf("public_url: %w", err)
		}
		a.PublicURLs[i] = origin
		if strings.HasPrefix(origin, "http:") && !loopback.Host(hostOf(origin)) {
			a.log.Warn("public_url is not https: links and tokens can be read on the way", zap.String("public_url", origin))
		}
	}
	for i, raw := range a.CORSOrigins {
		origin, err := api.ParseOrigin(raw)
		if err != nil {
			return fmt.Errorf("cors_origins: %w", err)
		}
		a.CORSOrigins[i] = origin
	}
	if a.Issuer == "" {
		a.Issuer = factor.DisplayText(hostOf(a.PublicURLs[0]), totp.MaxIssuer)
	}
	return nil
}

// hostOf is the host of an origin.
func hostOf(origin string) string {
	u, _ := url.Parse(origin) // ParseOrigin has made it
	return u.Hostname()
}

// provisionKinds makes the kinds of factor on offer.
func (a *App) provisionKinds() ([]factor.Kind, error) {
	skew := uint(1)
	if a.TOTP != nil && a.TOTP.Skew != nil {
		skew = *a.TOTP.Skew
	}
	app, err := totp.New(totp.Config{Issuer: a.Issuer, Skew: skew})
	if err != nil {
		return nil, fmt.Errorf("issuer or totp: %w", err)
	}
	kinds := []factor.Kind{app}
	if a.MagicLink != nil {
		link, err := a.magicLink()
		if err != nil {
			return nil, fmt.Errorf("magic_link: %w", err)
		}
		kinds = append(kinds, link)
	}
	key, err := a.passkey()
	if err != nil {
		return nil, fmt.Errorf("passkey: %w", err)
	}
	if key != nil {
		kinds = append(kinds, key)
	}
	return kinds, nil
}

func (a *App) magicLink() (*magiclink.Kind, error) {
	sender, err := a.MagicLink.sender(hostOf(a.PublicURLs[0]), a.log)
	if err != nil {
		return nil, err
	}
	return magiclink.New(magiclink.Config{
		Sender:    sender,
		LinkURL:   a.PublicURLs[0] + a.Prefix + "/magic-link",
		Issuer:    a.Issuer,
		Expiry:    time.Duration(a.MagicLink.Expiry),
		Addresses: magiclink.Addresses(a.MagicLink.Addresses),
		Local:     a.MagicLink.Directory != "",
	})
}

// sender makes what sends the mails. Host is that of the public URL.
func (m *MagicLink) sender(host string, log *zap.Logger) (mail.Sender, error) {
	if m.From == "" {
		return nil, errors.New(`from: missing: set the mails' sender, such as "Acme <no-reply@example.com>"`)
	}
	switch {
	case m.SMTP != nil && m.Directory != "":
		return nil, errors.New("smtp and directory cannot stand together: keep one")
	case m.SMTP != nil:
		if m.SMTP.TLS == string(mail.NoTLS) && !loopback.Host(hostPart(m.SMTP.Address)) {
			log.Warn("smtp: mails go out without TLS: links can be read on the way", zap.String("smtp", m.SMTP.Address))
		}
		helo := m.SMTP.Helo
		if _, err := netip.ParseAddr(strings.Trim(host, "[]")); helo == "" && err != nil {
			helo = host
		}
		var ca []byte
		if m.SMTP.CA != "" {
			var err error
			if ca, err = os.ReadFile(m.SMTP.CA); err != nil {
				return nil, fmt.Errorf("smtp: reading ca: %w", err)
			}
		}
		return mail.NewSMTP(mail.SMTPConfig{
			Hello:    helo,
			CA:       ca,
			Addr:     m.SMTP.Address,
			From:     m.From,
			Username: m.SMTP.Username,
			Password: m.SMTP.Password,
			TLS:      mail.TLSMode(m.SMTP.TLS),
		})
	case m.Directory != "":
		return mail.NewDirectory(m.Directory, m.From)
	default:
		return nil, errors.New("smtp: missing: name the mail server, or a directory for development")
	}
}

func hostPart(address string) string {
	host, _, _ := net.SplitHostPort(address) // checked by mail.NewSMTP
	return host
}

// passkey returns the kind of passkeys, nil when they are not configured
// and the public URLs do not allow them: browsers make none for an IP
// address or over plain http.
func (a *App) passkey() (*passkey.Kind, error) {
	p := Passkey{}
	if a.Passkey != nil {
		p = *a.Passkey
	}
	if p.RPID == "" {
		p.RPID = a.commonHost()
	}
	if len(p.Origins) == 0 {
		for _, origin := range a.PublicURLs {
			if within(hostOf(origin), p.RPID) {
				p.Origins = append(p.Origins, origin)
			} else {
				a.log.Warn("passkeys cannot be used at this public URL, which is outside their domain: set passkey { rp_id … } "+
					"to a domain that all of them are in", zap.String("public_url", origin), zap.String("rp_id", p.RPID))
			}
		}
		if len(p.Origins) == 0 {
			p.Origins = a.PublicURLs // for the error to name
		}
	}
	kind, err := passkey.New(passkey.Config{
		RPID:             p.RPID,
		RPName:           a.Issuer,
		Origins:          p.Origins,
		UserVerification: p.UserVerification,
		Lifetime:         mfa.PendingLifetime,
	})
	if err != nil && a.Passkey == nil {
		a.log.Warn("passkeys are not offered: the public URLs do not allow them", zap.Error(err))
		return nil, nil
	}
	return kind, err
}

// commonHost is the host of a public URL that the others are within, or
// that of the first when there is none.
func (a *App) commonHost() string {
	for _, candidate := range a.PublicURLs {
		outside := func(origin string) bool { return !within(hostOf(origin), hostOf(candidate)) }
		if !slices.ContainsFunc(a.PublicURLs, outside) {
			return hostOf(candidate)
		}
	}
	return hostOf(a.PublicURLs[0])
}

// within reports whether host is domain or below it.
func within(host, domain string) bool {
	return strings.EqualFold(host, domain) || strings.HasSuffix(strings.ToLower(host), "."+strings.ToLower(domain))
}
