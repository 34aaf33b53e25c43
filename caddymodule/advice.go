package caddymodule

// adviseAudience warns when every token of the issuer's is accepted. Those of
// the dev issuer are for this server alone.
func (a *App) adviseAudience() {
	if !a.Bearer.Dev && len(a.Bearer.Audience) == 0 {
		a.log.Warn("bearer: audience is not set, so that access tokens which the issuer made for other services are accepted too: " +
			"set audience to the value that tokens for this site have in their claim aud")
	}
}
