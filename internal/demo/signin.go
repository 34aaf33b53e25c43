package demo

import (
	"net/http"
	"strings"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/api"
)

const (
	// signedIn is how long a sign-in lasts: a working day.
	signedIn = 8 * time.Hour

	maxForm = 64 << 10
)

func (a *App) signInPage(w http.ResponseWriter, r *http.Request) {
	a.show(w, r, http.StatusOK, "sign-in", page{ReturnTo: a.local(r.FormValue("return_to"))})
}

// signIn takes everybody's word for who they are.
func (a *App) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "The form cannot be read.", http.StatusBadRequest)
		return
	}
	back := a.local(r.PostForm.Get("return_to"))
	who, err := personOf(r.PostForm.Get("subject"))
	if err != nil {
		a.show(w, r, http.StatusBadRequest, "sign-in", page{ReturnTo: back, Wrong: err.Error()})
		return
	}
	token, err := a.config.Sign(r.Context(), who, signedIn)
	if err != nil {
		a.fail(w, "signing in", err)
		return
	}
	http.SetCookie(w, a.cookie(token, signedIn))
	http.Redirect(w, r, back, http.StatusSeeOther)
}

func (a *App) signOut(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, a.cookie("", -1))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// cookie keeps token for lifetime, or ends at once.
func (a *App) cookie(token string, lifetime time.Duration) *http.Cookie {
	c := &http.Cookie{
		Name: a.config.Cookie, Value: token, Path: "/", MaxAge: int(lifetime / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(a.config.Origin, "https://"),
	}
	if lifetime < 0 {
		c.MaxAge = -1
	}
	return c
}

// local is the path that a return_to leads to, "/" for one of another site.
func (a *App) local(returnTo string) string {
	if rest, ok := strings.CutPrefix(returnTo, a.config.Origin); ok {
		returnTo = rest // "" is no path, and a longer host's rest neither
	}
	return api.ReturnTo(returnTo)
}

// token is the access token that the edge let through, and by which way it
// came: the header comes first.
func (a *App) token(r *http.Request) (token, way string) {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return token, "the header Authorization"
	}
	if c, err := r.Cookie(a.config.Cookie); err == nil && c.Value != "" {
		return c.Value, "the cookie " + c.Name
	}
	return "", ""
}

// who is the subject of somebody who is signed in, else "".
func (a *App) who(r *http.Request) string {
	token, _ := a.token(r)
	if token == "" {
		return ""
	}
	subject, err := a.config.Verify(r.Context(), token)
	if err != nil {
		return ""
	}
	return subject
}
