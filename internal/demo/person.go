package demo

import (
	"errors"
	"strings"
	"unicode"
)

// Person is somebody who signs in, as the access token tells it.
type Person struct {
	Subject      string
	Name         string
	Email        string
	Organization string
	Roles        []string
}

// About says in a word what is special about p.
func (p Person) About() string {
	switch {
	case len(p.Roles) > 0:
		return "owner of " + p.Organization
	case p.Organization != "":
		return "member of " + p.Organization
	default:
		return "in no organization"
	}
}

// Initial stands for a picture of p.
func (p Person) Initial() string { return p.Name[:1] }

// people are on offer at the sign-in.
var people = []Person{
	{Subject: "maria", Name: "Maria Lind", Email: "maria@example.com", Organization: "acme", Roles: []string{"OWNER"}},
	{Subject: "tom", Name: "Tom Okafor", Email: "tom@example.com", Organization: "acme"},
	{Subject: "yuki", Name: "Yuki Mori", Email: "yuki@example.com"},
}

// errSubject is returned for a name that nobody can sign in with.
var errSubject = errors.New("type a name of 1 to 64 characters, in one line")

// personOf is the one on offer who has the subject, or somebody new.
func personOf(subject string) (Person, error) {
	subject = strings.TrimSpace(subject)
	for _, p := range people {
		if p.Subject == subject {
			return p, nil
		}
	}
	if subject == "" || len(subject) > 64 || strings.ContainsFunc(subject, unicode.IsControl) {
		return Person{}, errSubject
	}
	return Person{Subject: subject}, nil
}
