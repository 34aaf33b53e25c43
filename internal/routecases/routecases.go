// Package routecases reads configurations with gates, and what must and must
// not get through them, from files:
//
//	A gate inside handle /admin/*
//	warns: is reached by way of the path matcher /admin/*
//	before: login GET /admin;a/x -> open, and no word of it
//	-- Caddyfile --
//	http://localhost:{$PORT} { … }
//	-- requests --
//	login GET /admin/x -> 401
//	factor GET /admin/x -> backend
//	login GET /admin;a/x -> open
//
// refused: and warns: are what loading says, LINE being that of the first
// mfa_require; any number of warns: may stand. A request is who asks (nobody,
// login with an access token, forged with X-MFA headers as well, factor with
// a fullAccessToken, cookie with both cookie and token), method, target,
// host=… or tls, and what becomes of it: a status (and a part of the body),
// or backend or open, with the target that arrives there where it is another
// one. open is what a warning says, not what is wanted.
package routecases

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Case is one configuration.
type Case struct {
	Name     string
	Title    string
	Refused  string
	Warns    []string
	Before   []string // what an earlier version did, for the table
	JSON     bool
	Sites    string
	Requests []Request
}

// Request is one request and what becomes of it.
type Request struct {
	Who, Method, Target, Host string
	TLS                       bool

	Status  string // of an answer of the edge itself
	Body    string // a part of it
	Reaches bool   // the backend
	Open    bool   // though it should not
	Arrives string // the target there
	Gated   bool   // by a gate that asks for a factor

	line string
}

func (r Request) String() string { return r.line }

// Load reads all cases of a folder.
func Load(t testing.TB, folder string) []Case {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no cases (%v)", err)
	}
	var all []Case
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := read(string(content))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		_, name, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".txt"), "-")
		c.Name = name
		all = append(all, c)
	}
	return all
}

func read(content string) (Case, error) {
	var c Case
	section := ""
	for i, line := range strings.Split(strings.TrimSuffix(content, "\n"), "\n") {
		switch {
		case i == 0:
			c.Title = line
		case strings.HasPrefix(line, "-- ") && strings.HasSuffix(line, " --"):
			section = strings.Trim(line, "- ")
			c.JSON = c.JSON || section == "JSON"
		case section == "":
			key, value, _ := strings.Cut(line, ": ")
			switch key {
			case "refused":
				c.Refused = value
			case "warns":
				c.Warns = append(c.Warns, value)
			case "before":
				c.Before = append(c.Before, value)
			default:
				return c, fmt.Errorf("line %d: %q is none of refused, warns, before", i+1, key)
			}
		case section == "requests":
			if line == "" {
				continue
			}
			r, err := readRequest(line)
			if err != nil {
				return c, fmt.Errorf("line %d: %w", i+1, err)
			}
			c.Requests = append(c.Requests, r)
		default:
			c.Sites += line + "\n"
		}
	}
	for i := range c.Requests {
		for _, other := range c.Requests {
			r := &c.Requests[i]
			r.Gated = r.Gated || other.Status == "401" && other.Method+other.Target+other.Host == r.Method+r.Target+r.Host && other.TLS == r.TLS
		}
	}
	return c, nil
}

func readRequest(line string) (Request, error) {
	asked, becomes, ok := strings.Cut(line, " -> ")
	words := strings.Fields(asked)
	outcome := strings.Fields(becomes)
	if !ok || len(words) < 3 || len(outcome) == 0 {
		return Request{}, fmt.Errorf("%q is no request", line)
	}
	r := Request{Who: words[0], Method: words[1], Target: words[2], line: line}
	for _, word := range words[3:] {
		if host, ok := strings.CutPrefix(word, "host="); ok {
			r.Host = host
		} else if word == "tls" {
			r.TLS = true
		} else {
			return r, fmt.Errorf("%q is neither host=… nor tls", word)
		}
	}
	switch outcome[0] {
	case "backend", "open":
		r.Reaches, r.Open, r.Arrives = true, outcome[0] == "open", r.Target
		if len(outcome) > 1 {
			r.Arrives = outcome[1]
		}
	default:
		if _, err := strconv.Atoi(outcome[0]); err != nil {
			return r, fmt.Errorf("%q is neither backend, open nor a status", outcome[0])
		}
		r.Status, r.Body = outcome[0], strings.Join(outcome[1:], " ")
	}
	return r, nil
}

// Prelude is the global options before the sites of a Caddyfile.
func Prelude(env map[string]string) string {
	return expand(`{
	admin {$ADMIN}
	default_bind 127.0.0.1
	skip_install_trust
	auto_https disable_redirects
	mfa {
		bearer dev
		public_url http://localhost:{$PORT}
	}
}
`, env)
}

// Text is the whole configuration, with the variables in it.
func (c Case) Text(env map[string]string) string {
	if c.JSON {
		return c.Sites
	}
	return Prelude(env) + c.Sites
}

// Expand puts the values of the variables in their places.
func (c Case) Expand(text string, env map[string]string) string { return expand(text, env) }

func expand(text string, env map[string]string) string {
	for name, value := range env {
		text = strings.ReplaceAll(text, "{$"+name+"}", value)
	}
	return text
}

// Wanted is what loading text says.
func (c Case) Wanted(text string, env map[string]string) []string {
	before, _, _ := strings.Cut(text, "mfa_require")
	number := strconv.Itoa(strings.Count(before, "\n") + 1)
	var all []string
	for _, want := range append(c.Warns, c.Refused) {
		if want != "" {
			want = strings.ReplaceAll(want, "LINE", number)
			want = strings.ReplaceAll(want, ":OTHERPORT", ":"+env["OTHERPORT"])
			all = append(all, strings.ReplaceAll(want, ":PORT", ":"+env["PORT"]))
		}
	}
	return all
}

// Table is the cases as a page of the docs.
func Table(cases []Case) string {
	var b strings.Builder
	b.WriteString(tableHead)
	for _, c := range cases {
		loads := "loads"
		if len(c.Warns) > 0 {
			loads = "loads with a warning"
		}
		if c.Refused != "" {
			loads = "**refused**"
		}
		var asked []string
		if c.Refused == "" {
			for _, r := range c.Requests {
				asked = append(asked, cell(r))
			}
		}
		before := strings.Join(c.Before, "<br>")
		if before == "" {
			before = "the same"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.Title, loads, strings.Join(asked, "<br>"), before)
	}
	return b.String()
}

func cell(r Request) string {
	_, becomes, _ := strings.Cut(r.line, " -> ")
	if r.Open {
		becomes = "**" + strings.Replace(becomes, "open", "gets through", 1) + "**"
	}
	asked, _, _ := strings.Cut(r.line, " -> ")
	return "`" + asked + "` → " + becomes
}

const tableHead = `# Configurations with gates, and what gets through

Each row is a configuration that a test loads into the running binary, with the requests that it sends. The cases, with
their Caddyfiles and the words of each refusal and warning, are in [xcaddy/testdata/matrix](../xcaddy/testdata/matrix);
this table is made of them. [gate.md](gate.md) says what the rules are.

Who asks: *nobody* has no token, *login* has an access token alone, *forged* has one and sends ` + "`X-MFA-*`" + ` headers of its own,
*factor* has a ` + "`fullAccessToken`" + `, *cookie* has an access token and the cookie. What becomes of it: a status from the edge; or
*backend*, which gets it (as the path that is named, where that is another one), and from *forged* never the headers. **gets
through** is what the warning is about.

| Configuration | Loading it | What is asked, and what becomes of it | Before these checks |
| --- | --- | --- | --- |
`
