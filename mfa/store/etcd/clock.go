package etcd

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// clockTimeout is how long a member may take to tell the time.
const clockTimeout = time.Second

// clocks asks the members what time it is. etcd has no request for that. But
// members answer HTTP at the address of clients, too, and date their answers,
// in whole seconds (RFC 9110, 6.6.1). GET /version needs no permission.
type clocks struct {
	urls   []string
	client *http.Client
}

func newClocks(config Config, secure *tls.Config) *clocks {
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: clockTimeout}).DialContext,
		TLSHandshakeTimeout: clockTimeout,
		MaxIdleConnsPerHost: 1,
		IdleConnTimeout:     time.Minute,
	}
	scheme := "http://"
	if secure != nil {
		scheme, transport.TLSClientConfig = "https://", secure.Clone()
	}
	c := &clocks{client: &http.Client{
		Transport:     transport,
		Timeout:       clockTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, endpoint := range config.Endpoints {
		host := endpoint
		if _, after, ok := strings.Cut(endpoint, "://"); ok {
			host = after
		}
		c.urls = append(c.urls, scheme+strings.TrimSuffix(host, "/")+"/version")
	}
	return c
}

func (c *clocks) close() { c.client.CloseIdleConnections() }

// Time implements store.Timed. It is the median of what the members' clocks
// show, so that one that is wrong counts for nothing among three.
func (s *Store) Time(ctx context.Context) (at time.Time, within time.Duration, err error) {
	done, err := s.begin(ctx)
	if err != nil {
		return time.Time{}, 0, err
	}
	defer done()
	type answer struct {
		at  time.Time
		err error
	}
	answers := make(chan answer, len(s.clocks.urls))
	for _, url := range s.clocks.urls {
		panics.Go(panics.StoreCall, func() {
			a := answer{err: panics.ErrPanicked}
			defer func() { answers <- a }()
			a.at, a.err = s.clocks.ask(ctx, url)
		})
	}
	var times []time.Time
	for range s.clocks.urls {
		if a := <-answers; a.err == nil {
			times = append(times, a.at)
		} else {
			err = a.err
		}
	}
	if ctx.Err() != nil {
		return time.Time{}, 0, ctx.Err()
	}
	if len(times) == 0 {
		return time.Time{}, 0, fmt.Errorf("%w: no member of etcd answers HTTP at its address for clients: %w", store.ErrNoTime, err)
	}
	slices.SortFunc(times, time.Time.Compare)
	lower, upper := times[(len(times)-1)/2], times[len(times)/2]
	return lower.Add(upper.Sub(lower) / 2).Add(time.Second / 2), time.Second / 2, nil
}

// ask returns the time at which a member dates an answer.
func (c *clocks) ask(ctx context.Context, url string) (time.Time, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return time.Time{}, err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return time.Time{}, err
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 4096) // so that the connection can be used again
	if response.StatusCode != http.StatusOK {
		return time.Time{}, fmt.Errorf("%s is answered %s", url, response.Status)
	}
	return http.ParseTime(response.Header.Get("Date"))
}

var _ store.Timed = (*Store)(nil)
