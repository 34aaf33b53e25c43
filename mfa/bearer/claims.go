package bearer

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// maxTextClaim bounds a single text claim, in bytes. OpenID Connect
	// allows 255 for sub.
	maxTextClaim = 1024

	// maxNumericDate is the last second of the year 9999.
	maxNumericDate = 253402300799
)

// claimName is the name of a claim and what it is called in reasons.
type claimName struct {
	name, label string
}

// registered is a claim that goes by its own name (RFC 7519 section 4.1).
func registered(name string) claimName {
	return claimName{name: name, label: "the " + name + " claim"}
}

var (
	issuerClaim   = registered("iss")
	audienceClaim = registered("aud")
	amrClaim      = registered("amr")
)

// value finds a claim: by its exact name, then as a dotted path. Nil is
// returned for one that is absent or null.
func (c claimName) value(claims object) any {
	value, _ := find(claims, c.name)
	return value
}

// find walks path into o. Names of members may hold dots themselves, so the
// longest first step that exists and leads on wins.
func find(o object, path string) (value any, ok bool) {
	if value, ok := o.member(path); ok {
		return value, true
	}
	for end := strings.LastIndexByte(path, '.'); end > 0; end = strings.LastIndexByte(path[:end], '.') {
		value, _ := o.member(path[:end])
		if inner, ok := value.(object); ok {
			if value, ok := find(inner, path[end+1:]); ok {
				return value, true
			}
		}
	}
	return nil, false
}

// text reads a string.
func (c claimName) text(claims object) (string, error) {
	switch value := c.value(claims).(type) {
	case nil:
		return "", nil
	case string:
		return c.checked(value)
	default:
		return "", invalid(c.label + " must be a string")
	}
}

// identifier reads a string or an integer.
func (c claimName) identifier(claims object) (string, error) {
	return c.scalar(c.value(claims))
}

func (c claimName) scalar(value any) (string, error) {
	switch value := value.(type) {
	case nil:
		return "", nil
	case string:
		return c.checked(value)
	case json.Number:
		// The digits are taken as they stand: a detour over float64
		// would give two people with long numbers one name.
		if digits := value.String(); isInteger(digits) {
			return c.checked(digits)
		}
	}
	return "", invalid(c.label + " must be a string or an integer")
}

// list reads an array of strings, or one string as an array of one.
func (c claimName) list(claims object) ([]string, error) {
	switch value := c.value(claims).(type) {
	case nil:
		return nil, nil
	case string:
		return []string{value}, nil
	case []any:
		texts := make([]string, 0, len(value))
		for _, element := range value {
			text, ok := element.(string)
			if !ok {
				return nil, invalid(c.label + " must be a string or an array of strings")
			}
			texts = append(texts, text)
		}
		return texts, nil
	default:
		return nil, invalid(c.label + " must be a string or an array of strings")
	}
}

// texts reads what a person would compare a claim with: a string, number or
// boolean, or an array of these. Nil is returned for anything else.
func (c claimName) texts(claims object) []string {
	values, ok := c.value(claims).([]any)
	if !ok {
		values = []any{c.value(claims)}
	}
	var texts []string
	for _, value := range values {
		switch value := value.(type) {
		case string:
			texts = append(texts, value)
		case json.Number:
			texts = append(texts, value.String())
		case bool:
			texts = append(texts, strconv.FormatBool(value))
		}
	}
	return texts
}

// checked refuses a text that could be taken for another one or could
// forge lines where it is printed.
func (c claimName) checked(text string) (string, error) {
	if len(text) > maxTextClaim {
		return "", invalid(c.label + " is too long")
	}
	for _, r := range text {
		// The decoder writes U+FFFD for every lone surrogate, so
		// different texts come out equal.
		if r == utf8.RuneError {
			return "", invalid(c.label + " is not valid Unicode")
		}
		if unicode.IsControl(r) {
			return "", invalid(c.label + " holds control characters")
		}
	}
	return text, nil
}

// isInteger reports whether a JSON number is an integer in its only
// plain form: no fraction, no exponent, no negative zero.
func isInteger(number string) bool {
	digits := strings.TrimPrefix(number, "-")
	if strings.Trim(digits, "0123456789") != "" {
		return false
	}
	return number != "-0"
}

// timeClaim reads a NumericDate (RFC 7519 section 2). The zero time is
// returned when the claim is absent or null.
func timeClaim(claims object, name string) (time.Time, error) {
	value, _ := claims.member(name)
	switch value := value.(type) {
	case nil:
		return time.Time{}, nil
	case json.Number:
		if at, ok := fromSeconds(value.String()); ok {
			return at, nil
		}
	}
	return time.Time{}, invalid(registered(name).label + " must be a number of seconds since 1970")
}
