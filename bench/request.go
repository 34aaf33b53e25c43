package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// header is what a request carries.
type header struct {
	bearer string
	cookie string // the value of the assertion cookie, "" for none
}

func (h header) set(r *http.Request) {
	if h.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+h.bearer)
	}
	if h.cookie != "" {
		r.Header.Set("Cookie", assertionCookie+"="+h.cookie)
	}
}

// get sends a GET request and returns the answer's status.
func (c *caddy) get(ctx context.Context, path string, set func(*http.Request)) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.address+path, nil)
	if err != nil {
		return 0, err
	}
	if set != nil {
		set(r)
	}
	response, err := c.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// post sends body to a route of the API, decodes its answer into answer, and
// returns the assertion cookie that came with it.
func (c *caddy) post(ctx context.Context, path, bearer string, body, answer any) (cookie string, err error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.address+path, bytes.NewReader(encoded))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+bearer)
	response, err := c.client.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("POST %s: %s: %s", path, response.Status, read)
	}
	if err := json.Unmarshal(read, answer); err != nil {
		return "", fmt.Errorf("POST %s: %w", path, err)
	}
	for _, set := range response.Cookies() {
		if set.Name == assertionCookie {
			cookie = set.Value
		}
	}
	return cookie, nil
}

// cost is what a block of requests took.
type cost struct {
	cpu  time.Duration // of the Caddy process, per request
	rate float64       // requests per second
}

// block sends n requests for path over all connections, the i-th with headers(i), and
// returns what they cost. All must be answered with 200.
func (c *caddy) block(ctx context.Context, path string, n, connections int, headers func(i int) header) (cost, error) {
	cpu, err := cpuTime(c.pid())
	if err != nil {
		return cost{}, err
	}
	begun := time.Now()
	err = together(connections, func(k int) error {
		for i := k; i < n; i += connections {
			status, err := c.get(ctx, path, headers(i).set)
			if err == nil && status != http.StatusOK {
				err = fmt.Errorf("GET %s: status %d", path, status)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return cost{}, err
	}
	took := time.Since(begun)
	after, err := cpuTime(c.pid())
	if err != nil {
		return cost{}, err
	}
	return cost{cpu: (after - cpu) / time.Duration(n), rate: float64(n) / took.Seconds()}, nil
}

// together calls f(0) to f(n-1) at the same time and returns the first error.
func together(n int, f func(k int) error) error {
	var all sync.WaitGroup
	errs := make(chan error, n)
	for k := range n {
		all.Go(func() {
			if err := f(k); err != nil {
				errs <- err
			}
		})
	}
	all.Wait()
	close(errs)
	return <-errs // nil when there is none
}
