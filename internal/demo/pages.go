package demo

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
)

// contentSecurityPolicy lets pages load, reach and send forms to their own
// origin only, and run no script but its file.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

//go:embed assets
var assets embed.FS

var templates = func() map[string]*template.Template {
	all := make(map[string]*template.Template)
	for _, name := range []string{"home", "sign-in", "told", "inbox"} {
		all[name] = template.Must(template.ParseFS(assets, "assets/layout.html", "assets/people.html", "assets/"+name+".html"))
	}
	return all
}()

// page is what templates show.
type page struct {
	Name    string // of the application
	MFA     string // where the product's page stands
	At      string // the path of this page
	Who     string // is signed in, "" for nobody
	HasMail bool   // there is an inbox to show
	People  []Person

	ReturnTo string // where a sign-in leads
	Wrong    string // what was wrong with one
	Told     told
	Letters  []letter
}

// show answers with the page of a template.
func (a *App) show(w http.ResponseWriter, r *http.Request, status int, name string, p page) {
	p.Name, p.MFA, p.At = a.config.Name, a.config.MFA, r.URL.Path
	p.Who, p.HasMail, p.People = a.who(r), a.config.Outbox != "", people
	if _, err := r.Cookie(a.config.Cookie); err == nil && p.Who == "" {
		http.SetCookie(w, a.cookie("", -1)) // of a key that is no more, say: a gate would refuse it
	}
	if p.ReturnTo == "" {
		p.ReturnTo = "/"
	}
	var body bytes.Buffer
	if err := templates[name].ExecuteTemplate(&body, "layout.html", p); err != nil {
		a.fail(w, "making page", err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a client that is gone needs no page
}

// fail answers that something went wrong on this side.
func (a *App) fail(w http.ResponseWriter, what string, err error) {
	a.config.Fail(what, err)
	http.Error(w, "Something went wrong while "+what+". The log says more.", http.StatusInternalServerError)
}

// asset serves a file that pages load.
func asset(name, contentType string) http.HandlerFunc {
	content, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(content) // a client that is gone needs no file
	}
}
