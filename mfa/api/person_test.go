package api_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/caddymfa/caddy-mfa/internal/passkeytest"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

// person is somebody who has signed in, and what they hold.
type person struct {
	e       *edge
	token   string // of the login
	secret  string // of the authenticator app
	codes   []string
	full    string // fullAccessToken
	refresh string
	cookie  string // value of __Host-mfa
}

// signIn returns a person without factors.
func (e *edge) signIn(who bearer.Identity) *person {
	return &person{e: e, token: e.logins.signIn(who)}
}

// enrolled returns a person who has just confirmed an authenticator app.
func (e *edge) enrolled(who bearer.Identity) *person {
	e.t.Helper()
	p := e.signIn(who)
	p.enrolApp()
	return p
}

func (p *person) enrolApp() {
	p.e.t.Helper()
	data := p.e.need(p.e.post("/mfa/setup", p.bearer(), `{"mfaType":"GOOGLE_AUTH"}`)).data()
	p.secret = data["secret"].(string)
	p.codes = nil
	for _, code := range data["backupCodes"].([]any) {
		p.codes = append(p.codes, code.(string))
	}
	p.keep(p.e.post("/mfa/verify-setup", p.bearer(), fmt.Sprintf(`{"mfaType":"GOOGLE_AUTH","code":%q}`, p.e.code(p.secret))))
}

// bearer is the best token that the person has.
func (p *person) bearer() string {
	if p.full != "" {
		return p.full
	}
	return p.token
}

// keep keeps the pair that an answer brings.
func (p *person) keep(a answer) answer {
	p.e.t.Helper()
	p.e.need(a)
	p.full, p.refresh, p.cookie = a.text("fullAccessToken"), a.text("refreshToken"), a.cookie()
	return a
}

// nextCode is a code of the app that has not been used: the next step's.
func (p *person) nextCode() string {
	p.e.clock.Advance(30 * time.Second)
	return p.e.code(p.secret)
}

// verify shows a code at verify-login.
func (p *person) verify(code string) answer {
	p.e.t.Helper()
	return p.e.post("/mfa/verify-login", p.token, fmt.Sprintf(`{"mfaType":"GOOGLE_AUTH","code":%q}`, code))
}

// wrongCode is a code that the app shows at no time near.
func (p *person) wrongCode() string {
	shown := map[string]bool{}
	for step := -3; step <= 3; step++ {
		p.e.clock.Advance(time.Duration(step) * 30 * time.Second)
		shown[p.e.code(p.secret)] = true
		p.e.clock.Advance(-time.Duration(step) * 30 * time.Second)
	}
	for n := 0; ; n++ {
		if code := fmt.Sprintf("%06d", n); !shown[code] {
			return code
		}
	}
}

// enrolLink confirms a magic link.
func (p *person) enrolLink() answer {
	p.e.t.Helper()
	p.e.need(p.e.post("/mfa/setup", p.bearer(), `{"mfaType":"MAGIC_LINK","email":"alice@example.com"}`))
	return p.keep(p.e.post("/mfa/verify-setup", p.bearer(), fmt.Sprintf(`{"mfaType":"MAGIC_LINK","token":%q}`, p.e.mails.Token(p.e.t))))
}

// device holds one passkey.
type device struct {
	credential virtualwebauthn.Credential
	virtualwebauthn.Authenticator
}

var relyingParty = virtualwebauthn.RelyingParty{ID: "example.com", Name: "Acme", Origin: "https://example.com"}

// enrolPasskey confirms a passkey by complete-registration.
func (p *person) enrolPasskey() *device {
	p.e.t.Helper()
	data := p.e.need(p.e.post("/mfa/setup", p.bearer(), `{"mfaType":"PASSKEY","deviceInfo":{"name":"Key"}}`)).data()
	handle, err := base64.RawURLEncoding.DecodeString(data["userId"].(string))
	must(p.e.t, err)
	options, err := virtualwebauthn.ParseAttestationOptions(encode(p.e.t, data["publicKey"]))
	must(p.e.t, err)
	d := &device{
		credential:    passkeytest.ES256(p.e.t),
		Authenticator: virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: handle}),
	}
	d.AddCredential(d.credential)
	created := virtualwebauthn.CreateAttestationResponse(relyingParty, d.Authenticator, d.credential, *options)
	p.e.want(p.keep(p.e.post("/mfa/passkey/complete-registration", p.bearer(), `{"credential":`+created+`}`)),
		200, "Passkey registration completed")
	return d
}

// sign answers the challenge of passkey/auth-options.
func (d *device) sign(p *person) string {
	p.e.t.Helper()
	data := p.e.need(p.e.post("/mfa/passkey/auth-options", p.token, "")).json["data"]
	options, err := virtualwebauthn.ParseAssertionOptions(encode(p.e.t, data))
	must(p.e.t, err)
	return virtualwebauthn.CreateAssertionResponse(relyingParty, d.Authenticator, d.credential, *options)
}

func encode(t *testing.T, value any) string {
	t.Helper()
	encoded, err := json.Marshal(value)
	must(t, err)
	return string(encoded)
}
