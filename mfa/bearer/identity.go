package bearer

import (
	"strings"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/internal/mailbox"
)

// Identity is what a verified token says about its holder.
type Identity struct {
	// Issuer is the iss claim, "" when absent and not required.
	Issuer string

	// Subject is never empty. An integer subject stands here in decimal,
	// so that 42 and "42" are the same person.
	Subject string

	// Claimed is the subject as the token writes it. Subject is in lower case
	// where it is an e-mail address; see Verifier.AddressSubjects. "" means
	// that they are the same.
	Claimed string

	Email         string   // "" when not claimed
	Organizations []string // nil when not claimed
	Roles         []string // nil when not claimed

	// AuthTime is the auth_time claim, or, where there is none, the newest
	// timestamp of the amr claim. Zero when both are absent.
	AuthTime time.Time
	IssuedAt time.Time // the iat claim, zero when absent
	Expiry   time.Time // the exp claim, without any skew

	// AMR is the amr claim (RFC 8176), nil when it is absent or is none that
	// can be read.
	AMR []string

	// AMRTimes are when each method of AMR was used, the zero time where that
	// is not told. Nil when it is told of none.
	AMRTimes []time.Time

	Audience []string // the aud claim, nil when absent

	// Kept are the claims of Config.Keep that the token has, as texts: a
	// string, number or boolean as one, an array of these as several.
	Kept map[string][]string
}

// Claims names the claims that an identity is read from. An empty name
// means the default.
//
// A name is first looked for as it is, so that it may be a URL with dots
// (https://example.com/roles), then as a dotted path into objects
// (realm_access.roles). A claim that is null counts as absent.
type Claims struct {
	// Subject is a string or an integer; default "sub". Where it is the claim
	// that Email names, subjects are e-mail addresses, and compared without
	// case.
	Subject string

	// Email is a string; default "email". Anything else counts as absent:
	// an address that cannot be read is one that nothing is sent to.
	Email string

	// Organization is a string or an integer, an object with an "id" or else
	// a "name" that is one, an array of these, or an object that has one
	// member for each organization, as Keycloak has it; default
	// "organization". Auth0, Clerk and WorkOS say org_id, Kinde org_code,
	// Microsoft Entra ID tid, Google hd, and ZITADEL
	// urn:zitadel:iam:user:resourceowner:id. Anything else is refused
	// rather than read as belonging to none.
	Organization string

	// Roles is one role as a string, an array of strings or of objects with
	// a "name", "role", "value" or "authority" that is one, or an object that
	// has one member for each role, as ZITADEL has it; default "roles", as
	// Microsoft Entra ID has it. Keycloak says realm_access.roles, Okta
	// groups, and Amazon Cognito cognito:groups. A string is split at blanks
	// where the claim is called "scope" or "scp" (RFC 8693 section 4.2), and
	// nowhere else. Anything else counts as no role.
	Roles string
}

// claimNames are Claims with the defaults filled in.
type claimNames struct {
	subject, email, organization, roles claimName
	kept                                []claimName
}

func (c Claims) named() claimNames {
	name := func(meaning, given, standard string) claimName {
		if given == "" {
			given = standard
		}
		return claimName{name: given, label: claimLabel(meaning, given)}
	}
	return claimNames{
		subject:      name("subject", c.Subject, "sub"),
		email:        name("email", c.Email, "email"),
		organization: name("organization", c.Organization, "organization"),
		roles:        name("roles", c.Roles, "roles"),
	}
}

// claimLabel says what a claim is called in a reason. The name itself
// comes along only if it may stand in an RFC 6750 error_description.
func claimLabel(meaning, name string) string {
	for i := range len(name) {
		if c := name[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return "the " + meaning + " claim"
		}
	}
	return "the " + meaning + " claim (" + name + ")"
}

// identity reads the claims of a token. The claims have not been judged
// yet: an identity from here may have expired.
func (n claimNames) identity(claims object) (Identity, error) {
	var identity Identity
	var err error
	fail := func(e error) {
		if err == nil {
			err = e
		}
	}
	text := func(s string, e error) string { fail(e); return s }
	list := func(l []string, e error) []string { fail(e); return l }
	moment := func(t time.Time, e error) time.Time { fail(e); return t }

	identity.Subject = text(n.subject.identifier(claims))
	identity.Email = orAbsent(n.email.text(claims))
	identity.Organizations = list(n.organization.organizations(claims))
	identity.Roles = n.roles.roles(claims)
	identity.Issuer = text(issuerClaim.text(claims))
	identity.Audience = list(audienceClaim.list(claims))
	identity.AMR, identity.AMRTimes = authenticationMethods(claims)
	identity.AuthTime = moment(signInTime(claims, identity.AMRTimes))
	identity.IssuedAt = moment(timeClaim(claims, "iat"))
	identity.Expiry = moment(timeClaim(claims, "exp"))
	if err != nil {
		return Identity{}, err
	}
	for _, claim := range n.kept {
		if texts := claim.texts(claims); texts != nil {
			if identity.Kept == nil {
				identity.Kept = make(map[string][]string)
			}
			identity.Kept[claim.name] = texts
		}
	}
	if strings.TrimSpace(identity.Subject) == "" {
		return Identity{}, invalid(n.subject.label + " is missing or empty")
	}
	if n.addressSubjects() {
		if folded := mailbox.Fold(identity.Subject); folded != identity.Subject {
			identity.Subject, identity.Claimed = folded, identity.Subject
		}
	}
	return identity, nil
}

// addressSubjects reports whether subjects are e-mail addresses: both are read
// from the same claim.
func (n claimNames) addressSubjects() bool { return n.subject.name == n.email.name }

// ClaimedSubject is the subject as the token writes it.
func (i Identity) ClaimedSubject() string {
	if i.Claimed != "" {
		return i.Claimed
	}
	return i.Subject
}

// orAbsent is value, or nothing when it could not be read.
func orAbsent[T any](value T, err error) T {
	if err != nil {
		var none T
		return none
	}
	return value
}
