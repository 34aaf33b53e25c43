package passkey

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"golang.org/x/net/publicsuffix"
)

// localhost is the one host that browsers trust without TLS.
const localhost = "localhost"

// checkRPID tells what keeps id from being a relying party ID: a valid
// domain string in lower-case ASCII, which is how browsers compare it.
func checkRPID(id string) error {
	switch {
	case id == "":
		return errors.New("relying party ID is empty: give the domain of the site, such as example.com")
	case isAddress(id):
		return fmt.Errorf("relying party ID %q is an IP address, which browsers refuse: give a domain, or localhost", id)
	case strings.Contains(id, ":") || strings.Contains(id, "/"):
		return fmt.Errorf("relying party ID %q is not a bare domain: give it without scheme, port and path, such as example.com", id)
	case id != strings.ToLower(id):
		return fmt.Errorf("relying party ID %q has capital letters: give it in lower case", id)
	}
	if err := protocol.ValidateRPID(id); err != nil {
		return fmt.Errorf("relying party ID %q is not a domain in ASCII form (such as example.com or xn--mller-kva.example): %w", id, err)
	}
	return nil
}

// androidOrigin begins the origin of an app for Android.
const androidOrigin = "android:apk-key-hash:"

// checkOrigins returns the web origins in their serialized form, and those of
// apps, or tells which of them no browser would make passkeys of rpID at.
func checkOrigins(origins []string, rpID string) (sites, apps []string, err error) {
	for _, origin := range origins {
		if hash, ok := strings.CutPrefix(origin, androidOrigin); ok {
			if sum, err := base64.RawURLEncoding.Strict().DecodeString(hash); err != nil || len(sum) != sha256.Size {
				return nil, nil, fmt.Errorf("origin %q has no SHA-256 hash: give the signing certificate's in base64url without padding, 43 characters", origin)
			}
			apps = append(apps, origin)
			continue
		}
		site, err := checkOrigin(origin, rpID)
		if err != nil {
			return nil, nil, err
		}
		sites = append(sites, site)
	}
	if len(sites) == 0 {
		return nil, nil, errors.New("no origin of a site is given: give it, such as https://example.com")
	}
	return sites, apps, nil
}

func checkOrigin(origin, rpID string) (string, error) {
	u, err := url.Parse(origin)
	if err != nil {
		return "", fmt.Errorf("origin %q is no URL: give scheme://host[:port]", origin)
	}
	// Whatever else a URL may have shows as a difference to this form.
	if !strings.EqualFold(origin, u.Scheme+"://"+u.Host) || u.Hostname() == "" || strings.HasSuffix(u.Host, ":") {
		return "", fmt.Errorf("origin %q is not scheme://host[:port]: give it without path, final slash, query and user, such as https://example.com", origin)
	}
	host := strings.ToLower(u.Hostname())
	switch {
	case isAddress(host):
		return "", fmt.Errorf("origin %q has an IP address for a host, which browsers make no passkeys at: give a domain, or localhost", origin)
	case u.Scheme == "https":
	case u.Scheme == "http" && (host == localhost || strings.HasSuffix(host, "."+localhost)):
	case u.Scheme == "http":
		return "", fmt.Errorf("origin %q is not secure: browsers make passkeys at https only, or at http://localhost", origin)
	default:
		return "", fmt.Errorf("origin %q has the scheme %q: give https", origin, u.Scheme)
	}
	if err := protocol.ValidateRPID(host); err != nil {
		return "", fmt.Errorf("origin %q has no valid domain for a host: %w", origin, err)
	}
	if err := checkScope(origin, host, rpID); err != nil {
		return "", err
	}

	port := u.Port()
	if port == "" || port == defaultPorts[u.Scheme] {
		return u.Scheme + "://" + host, nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("origin %q has the port %q: give 1 to 65535", origin, port)
	}
	return u.Scheme + "://" + host + ":" + port, nil
}

var defaultPorts = map[string]string{"http": "80", "https": "443"}

// checkScope tells whether rpID equals host or is a registrable parent of
// it (HTML, "is a registrable domain suffix of or is equal to").
func checkScope(origin, host, rpID string) error {
	if host == rpID {
		return nil
	}
	if !strings.HasSuffix(host, "."+rpID) {
		return fmt.Errorf("origin %q does not belong to the relying party ID (rp_id) %q: its host has to be that domain or end in %q", origin, rpID, "."+rpID)
	}
	if suffix, _ := publicsuffix.PublicSuffix(rpID); suffix == rpID {
		return fmt.Errorf("relying party ID (rp_id) %q is a public suffix, under which anybody may register: give your own domain, such as %q", rpID, host)
	}
	return nil
}

// isAddress reports whether host is an IP address, with or without the
// brackets of a URL.
func isAddress(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}
