package bearer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/internal/loopback"
	"github.com/caddymfa/caddy-mfa/mfa/internal/regularfile"
)

const (
	maxRedirects   = 3
	maxHeaderBytes = 64 << 10
)

// RemoteOptions are the optional parts of JWKSURL and OIDC.
type RemoteOptions struct {
	// Client makes the requests. Its CheckRedirect is replaced. Nil means
	// one of its own that honours the proxy environment variables and
	// keeps no connection open.
	Client *http.Client

	// Logger is told of fetches that fail. Nil logs nothing.
	Logger *zap.Logger
}

// JWKSURL is a JWK set (RFC 7517 section 5) at an http or https URL.
//
// Keys are fetched when the first token comes, again once they are 15
// minutes old (while the old ones go on being used), when a token
// names a key that is not among them, and when none of the keys that may be
// the token's verifies it, as an issuer may change a key and keep its name.
// After a fetch, also one that
// failed, there is none for 30 s; only until there have been any keys at
// all it is 1 s, doubling up to 30 s. Keys are honoured for 24 h while
// the issuer cannot be reached, then Verify returns ErrKeysUnavailable.
//
// An object whose members are PEM certificates or public keys, called as the
// keys are, counts as a set too. A key that cannot be used is passed over,
// with one warning. A set with no usable key counts as a failed fetch.
// Symmetric keys in it are not used. Over plain http anyone on the way can put in keys of
// their own: it is for hosts that are reached over loopback or a trusted
// network only, and the logger is warned.
func JWKSURL(rawURL string, options RemoteOptions) (KeySource, error) {
	address, err := parseRemote("JWKS URL", rawURL)
	if err != nil {
		return nil, err
	}
	f := newFetcher(options, address)
	return &remoteSource{log: f.log, fetch: func(ctx context.Context) (*keySet, error) {
		return f.keys(ctx, address)
	}}, nil
}

// OIDC is the JWK set of an OpenID provider, found by discovery (OpenID
// Connect Discovery 1.0 section 4) from its issuer URL. The issuer in the
// document and the iss of every token must equal that URL to the letter,
// a trailing slash included. Otherwise it works as JWKSURL; the document
// is read again with each fetch of the keys.
func OIDC(issuer string, options RemoteOptions) (KeySource, error) {
	address, err := parseRemote("issuer URL", issuer)
	if err != nil {
		return nil, err
	}
	if address.RawQuery != "" || address.ForceQuery {
		return nil, fmt.Errorf("issuer URL %q must not have a query", issuer)
	}
	f := newFetcher(options, address)
	return &remoteSource{iss: issuer, log: f.log, fetch: func(ctx context.Context) (*keySet, error) {
		jwksURL, err := f.discover(ctx, issuer)
		if err != nil {
			return nil, err
		}
		return f.keys(ctx, jwksURL)
	}}, nil
}

func parseRemote(what, rawURL string) (*url.URL, error) {
	address, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", what, err)
	}
	if address.Scheme != "https" && address.Scheme != "http" || address.Host == "" {
		return nil, fmt.Errorf("%s %q must be absolute, as https://login.example.com is", what, rawURL)
	}
	if address.User != nil {
		return nil, fmt.Errorf("%s must not hold a user name or password", what)
	}
	if address.Fragment != "" {
		return nil, fmt.Errorf("%s %q must not have a fragment", what, rawURL)
	}
	return address, nil
}

type fetcher struct {
	client  *http.Client
	log     *zap.Logger
	skipped *skippedWarning
}

// skippedWarning tells of keys that cannot be used once, and again when the
// reasons change, not with every fetch.
type skippedWarning struct {
	mu   sync.Mutex
	told []string
}

func (w *skippedWarning) warn(log *zap.Logger, address *url.URL, reasons []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(reasons) > 0 && !slices.Equal(reasons, w.told) {
		log.Warn("passing over keys that cannot be used",
			zap.Stringer("url", address), zap.Strings("reasons", reasons))
	}
	w.told = reasons
}

func newFetcher(options RemoteOptions, address *url.URL) fetcher {
	log := options.Logger
	if log == nil {
		log = zap.NewNop()
	}
	if address.Scheme == "http" && !loopback.Host(address.Hostname()) {
		log.Warn("keys are fetched over plain http: whoever can change the answer on its way can sign tokens",
			zap.String("url", address.Redacted()))
	}
	client := http.Client{}
	if options.Client != nil {
		client = *options.Client
	} else {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		// A fetch every 15 minutes gains nothing from an open
		// connection, which would outlive the configuration.
		transport.DisableKeepAlives = true
		transport.MaxResponseHeaderBytes = maxHeaderBytes
		client.Transport = transport
	}
	client.CheckRedirect = checkRedirect
	return fetcher{client: &client, log: log, skipped: new(skippedWarning)}
}

func checkRedirect(request *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("too many redirects")
	}
	if via[len(via)-1].URL.Scheme == "https" && request.URL.Scheme != "https" {
		return errors.New("redirect from https to http")
	}
	return nil
}

// keys fetches a JWK set.
func (f fetcher) keys(ctx context.Context, address *url.URL) (*keySet, error) {
	document, err := f.get(ctx, address)
	if err != nil {
		return nil, err
	}
	set, skipped, err := parseJWKS(document, false)
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", address, err)
	}
	f.skipped.warn(f.log, address, skipped.unreadable())
	return set, nil
}

// discover fetches the provider's document and returns where its keys
// are.
func (f fetcher) discover(ctx context.Context, issuer string) (*url.URL, error) {
	address, err := parseRemote("discovery URL", strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return nil, err
	}
	document, err := f.get(ctx, address)
	if err != nil {
		return nil, err
	}
	var provider struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(document, &provider); err != nil {
		return nil, fmt.Errorf("parsing %s: %w", address, err)
	}
	if provider.Issuer != issuer {
		return nil, fmt.Errorf("checking %s: its issuer is %q, not %q: configure the issuer exactly as it stands there", address, provider.Issuer, issuer)
	}
	jwksURL, err := parseRemote("jwks_uri", provider.JWKSURI)
	if err != nil {
		return nil, fmt.Errorf("checking %s: %w", address, err)
	}
	if address.Scheme == "https" && jwksURL.Scheme != "https" {
		return nil, fmt.Errorf("checking %s: its jwks_uri must be https too", address)
	}
	return jwksURL, nil
}

func (f fetcher) get(ctx context.Context, address *url.URL) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", address, err)
	}
	request.Header.Set("Accept", "application/json")
	response, err := f.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetching keys: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetching %s: status is %d, not 200", address, response.StatusCode)
	}
	document, err := regularfile.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", address, err)
	}
	return document, nil
}
