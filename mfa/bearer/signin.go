package bearer

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// methodRefresh is how Supabase calls the renewal of a token among the
// methods of a sign-in. Nobody has shown anything then.
const methodRefresh = "token_refresh"

// authenticationMethods reads the amr claim: one method as a string, an array
// of strings (RFC 8176), or one of objects with "method" and "timestamp", as
// Supabase has it. Nil is returned for anything else, as a claim that only
// describes how somebody signed in is no reason to refuse the token. Times
// are as in Identity.AMRTimes.
func authenticationMethods(claims object) (methods []string, times []time.Time) {
	timed := false
	add := func(method string, at time.Time) bool {
		if _, err := amrClaim.checked(method); err != nil {
			return false
		}
		if strings.TrimSpace(method) != "" {
			methods, times = append(methods, method), append(times, at)
			timed = timed || !at.IsZero()
		}
		return true
	}
	switch value := amrClaim.value(claims).(type) {
	case string:
		if !add(value, time.Time{}) {
			return nil, nil
		}
	case []any:
		for _, element := range value {
			var method string
			var at time.Time
			switch element := element.(type) {
			case string:
				method = element
			case object:
				value, _ := element.member("method")
				text, ok := value.(string)
				if !ok {
					return nil, nil
				}
				method = text
				if method != methodRefresh {
					stamp, _ := element.member("timestamp")
					at, _ = readMoment(stamp)
				}
			default:
				return nil, nil
			}
			if !add(method, at) {
				return nil, nil
			}
		}
	}
	if !timed {
		times = nil
	}
	return methods, times
}

// signInTime is when somebody signed in: the auth_time claim, or the newest
// of times where there is none. The zero time is returned when neither tells.
func signInTime(claims object, times []time.Time) (time.Time, error) {
	value, _ := claims.member("auth_time")
	if value == nil {
		var newest time.Time
		for _, at := range times {
			if at.After(newest) {
				newest = at
			}
		}
		return newest, nil
	}
	at, ok := readMoment(value)
	if !ok {
		// Taken as absent, a later time would stand in for it.
		return time.Time{}, invalid("the auth_time claim must be a number of seconds since 1970, or a date and time of ISO 8601 with its zone")
	}
	return at, nil
}

// SignedInBy reports whether one of methods is in AMR, and when the last of
// those was used. A method has no later time than AuthTime, and none at all,
// which is the zero time, where the token tells the times of others only: a
// recent password says nothing of an older second factor.
func (i Identity) SignedInBy(methods []string) (at time.Time, ok bool) {
	for k, method := range i.AMR {
		if !slices.Contains(methods, method) {
			continue
		}
		used := i.AuthTime
		if i.AMRTimes != nil && i.AMRTimes[k].Before(used) {
			used = i.AMRTimes[k]
		}
		if !ok || used.After(at) {
			at = used
		}
		ok = true
	}
	return at, ok
}

// momentLayouts are the forms of ISO 8601 that are read. All have a zone: a
// time without one could be hours newer than it is.
var momentLayouts = []string{
	time.RFC3339, // a fraction is read with it
	"2006-01-02T15:04:05Z0700",
	"2006-01-02T15:04Z07:00",
	"20060102T150405Z0700",
}

// readMoment reads a number of seconds since 1970, also as text, or a date and
// time of ISO 8601, as ADFS has it.
func readMoment(value any) (time.Time, bool) {
	switch value := value.(type) {
	case json.Number:
		return fromSeconds(value.String())
	case string:
		if strings.Trim(value, "0123456789.") == "" {
			return fromSeconds(value)
		}
		for _, layout := range momentLayouts {
			if at, err := time.Parse(layout, value); err == nil {
				return at.UTC(), at.Unix() >= 0 && at.Unix() <= maxNumericDate
			}
		}
	}
	return time.Time{}, false
}

// fromSeconds reads a decimal number of seconds from 1970 to the year 9999.
func fromSeconds(decimal string) (time.Time, bool) {
	seconds, err := strconv.ParseFloat(decimal, 64)
	if err != nil || !(seconds >= 0 && seconds <= maxNumericDate) {
		return time.Time{}, false
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)).UTC(), true
}
