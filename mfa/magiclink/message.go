package magiclink

import (
	_ "embed"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/internal/letter"
	"github.com/caddymfa/caddy-mfa/mfa/internal/mailbox"
	"github.com/caddymfa/caddy-mfa/mfa/mail"
)

//go:embed setup.txt
var setupText string

//go:embed setup.html
var setupHTML string

//go:embed login.txt
var loginText string

//go:embed login.html
var loginHTML string

var (
	setupTemplate = letter.MustParse(setupText, setupHTML)
	loginTemplate = letter.MustParse(loginText, loginHTML)
)

// linkData is what each template shows of a link.
type linkData struct {
	Issuer  string
	Account string // "" when the account's name is not fit to be shown
	Link    string
	Within  string // "10 minutes"
	Until   string // "14:05 UTC on 2 January 2006"
}

// loginData is what the templates of the login mail show.
type loginData struct {
	linkData
	IP     string // "" when unknown
	Device string // "Chrome on Windows"
	When   string // as Until
}

// setupMail writes the mail that asks to confirm an address.
//
// With Any, a stranger can have this mail sent to whom they like. It is
// of no use to them as long as they choose none of its words: so it does
// not repeat the address, whose local part may say anything, and all it
// shows of the account is a name that reads as one.
func (k *Kind) setupMail(to mailbox.Address, accountName, token string, now time.Time) (mail.Message, error) {
	return setupTemplate.Message(to, "Confirm your e-mail address for "+k.issuer, k.linkData(accountName, token, now))
}

// loginMail writes the mail that asks to confirm a login. Who has only the
// person's password can have it sent, and must not find words for it
// either. It does not hold the number that the asking screen shows.
func (k *Kind) loginMail(to mailbox.Address, request LoginRequest, token string) (mail.Message, error) {
	return loginTemplate.Message(to, "Confirm that you are signing in to "+k.issuer, loginData{
		linkData: k.linkData(request.AccountName, token, request.At),
		IP:       letter.IP(request.IP),
		Device:   letter.Device(request.UserAgent),
		When:     letter.Time(request.At),
	})
}

func (k *Kind) linkData(accountName, token string, now time.Time) linkData {
	return linkData{
		Issuer:  k.issuer,
		Account: letter.Name(accountName),
		Link:    k.linkURL + "#token=" + token,
		Within:  letter.Duration(k.expiry),
		Until:   letter.Time(now.Add(k.expiry)),
	}
}
