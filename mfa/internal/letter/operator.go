package letter

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// Issuer checks the name of the service, which subjects show, and returns
// it without outer blanks.
func Issuer(name string) (string, error) {
	issuer := strings.TrimSpace(name)
	if issuer == "" || !factor.Plain(issuer) {
		return "", fmt.Errorf("the issuer %q is empty or no plain text: set the service's name", name)
	}
	return issuer, nil
}

// PageURL checks the URL of a page that a mail leads to, and returns it.
// It has to be absolute, http or https, without user and fragment. It must
// come from the configuration, never from a request.
func PageURL(page string) (string, error) {
	parsed, err := url.Parse(page)
	if err != nil {
		// The reason alone: what url.Parse says holds the URL, and that may hold
		// a password.
		var reason *url.Error
		if errors.As(err, &reason) {
			err = reason.Err
		}
		return "", fmt.Errorf("parsing the page's URL: %w", err)
	}
	if parsed.Scheme != "https" && parsed.Scheme != "http" || parsed.Hostname() == "" || parsed.User != nil ||
		strings.Contains(page, "#") {
		return "", fmt.Errorf("the page's URL %q is not an absolute http or https URL without user and fragment, "+
			"such as https://example.com/mfa/", parsed.Redacted())
	}
	return parsed.String(), nil
}
