package bearer

import (
	"slices"
	"strings"
)

// The claims of this file decide whom somebody may act on. Issuers write
// them in many shapes. A shape that is known is read, and nothing is guessed.

// organizations reads a string or an integer, an object that describes one
// organization, an array of these, or an object whose members are called as
// the organizations are. Each is told once.
func (c claimName) organizations(claims object) ([]string, error) {
	var names []string
	switch value := c.value(claims).(type) {
	case []any:
		for _, element := range value {
			name, err := c.oneOrganization(element)
			if err != nil {
				return nil, err
			}
			names = append(names, name)
		}
	case object:
		if name, err := c.oneOrganization(value); err == nil && !value.holdsObjectsOnly() {
			return []string{name}, nil
		}
		for _, m := range value {
			if member := m.value(); member == nil || member == false {
				continue
			}
			name, err := c.checked(m.name)
			if err != nil {
				return nil, err
			}
			names = append(names, name)
		}
		slices.Sort(names)
	default:
		name, err := c.scalar(value)
		if err != nil {
			return nil, err
		}
		names = []string{name}
	}
	return distinctNames(names), nil
}

// distinctNames takes empty names, and each that came before, out of names.
// Nil is returned when none is left.
func distinctNames(names []string) []string {
	var distinct []string
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if name != "" && !seen[name] {
			seen[name] = true
			distinct = append(distinct, name)
		}
	}
	return distinct
}

// oneOrganization reads a string, an integer, or an object whose "id", or
// else "name", is one. Empty is returned for null.
func (c claimName) oneOrganization(value any) (string, error) {
	o, ok := value.(object)
	if !ok {
		return c.scalar(value)
	}
	for _, member := range []string{"id", "name"} {
		value, _ := o.member(member)
		if name, err := c.scalar(value); name != "" || err != nil {
			return name, err
		}
	}
	return "", invalid(c.label + " holds an object that has neither id nor name")
}

// roleMembers are those that name a role in an object that describes one,
// first the one that is asked first.
var roleMembers = []string{"name", "role", "value", "authority"}

// roles reads one role as a string, an array of strings or of objects that
// describe a role, or an object whose members are called as the roles are.
// Nil is returned for anything else: a role is a permission.
func (c claimName) roles(claims object) []string {
	switch value := c.value(claims).(type) {
	case string:
		if c.name == "scope" || c.name == "scp" {
			return c.permitted(strings.Fields(value))
		}
		return c.permitted([]string{value})
	case []any:
		var names []string
		for _, element := range value {
			switch element := element.(type) {
			case string:
				names = append(names, element)
			case object:
				name, ok := describedRole(element)
				if !ok {
					return nil
				}
				names = append(names, name)
			default:
				return nil
			}
		}
		return c.permitted(names)
	case object:
		var names []string
		for _, m := range value {
			if grantsRole(m.value()) {
				names = append(names, m.name)
			}
		}
		slices.Sort(names)
		return c.permitted(names)
	default:
		return nil
	}
}

// permitted takes the blank ones out of names. Nil is returned when one of
// the others cannot be told from another text.
func (c claimName) permitted(names []string) []string {
	var permitted []string
	for _, name := range names {
		if _, err := c.checked(name); err != nil {
			return nil
		}
		if strings.TrimSpace(name) != "" {
			permitted = append(permitted, name)
		}
	}
	return permitted
}

// describedRole is the role that an object in an array of roles describes,
// and "" where the object says that the role is not granted. Not ok is an
// object that names no role.
func describedRole(o object) (name string, ok bool) {
	granted := true
	for _, state := range []string{"enabled", "active"} {
		if value, found := o.member(state); found && value != true {
			granted = false
		}
	}
	for _, member := range roleMembers {
		value, found := o.member(member)
		if !found {
			continue
		}
		text, isText := value.(string)
		switch {
		case value == nil || value == false:
			granted = false
		case !isText:
			return "", false
		case name == "":
			name = text
		}
		ok = true
	}
	if !granted {
		name = ""
	}
	return name, ok
}

// grantsRole reports whether the member of an object of roles grants the one
// that it is called after: ZITADEL gives the organizations that granted it,
// by ID and domain, and others true.
func grantsRole(value any) bool {
	switch value := value.(type) {
	case bool:
		return value
	case object:
		for _, m := range value {
			if _, ok := m.value().(string); !ok {
				return false
			}
		}
		return len(value) > 0
	default:
		return false
	}
}

// holdsObjectsOnly reports whether o is empty or all its members are objects.
func (o object) holdsObjectsOnly() bool {
	for _, m := range o {
		if _, ok := m.value().(object); !ok {
			return false
		}
	}
	return true
}
