package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// setups sends setups to a Caddy, each of somebody else.
type setups struct {
	caddy   *caddy
	login   *login
	engine  engine
	clients int
	people  int
}

// setupCost is what a block of setups took: CPU in microseconds a setup.
type setupCost struct {
	rate                  float64 // a second
	busy                  float64 // cores, of the whole machine
	caddy, server, client float64
}

// block makes n setups, over one connection for each client. All must be
// answered with 200.
func (s *setups) block(ctx context.Context, n int) (cost setupCost, err error) {
	requests := make([][]byte, n)
	for i := range requests {
		s.people++
		token, err := s.login.tokenOf(fmt.Sprintf("person-%08d", s.people))
		if err != nil {
			return setupCost{}, err
		}
		const body = `{"mfaType":"GOOGLE_AUTH"}`
		requests[i] = fmt.Appendf(nil, "POST /mfa/setup HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", s.caddy.address, token, len(body), body)
	}
	connections, err := s.connect(ctx)
	if err != nil {
		return setupCost{}, err
	}
	defer func() { err = errors.Join(err, closeAll(connections)) }()
	before, err := usedBy(s.engine, s.caddy)
	if err != nil {
		return setupCost{}, err
	}
	begun := time.Now()
	err = together(len(connections), func(k int) error {
		var mine [][]byte
		for i := k; i < n; i += len(connections) {
			mine = append(mine, requests[i])
		}
		return post(connections[k], mine)
	})
	if err != nil {
		return setupCost{}, err
	}
	took := time.Since(begun)
	after, err := usedBy(s.engine, s.caddy)
	return after.since(before, n, took), err
}

func (s *setups) connect(ctx context.Context) (connections []net.Conn, err error) {
	address := strings.Replace(s.caddy.address, "localhost", "127.0.0.1", 1)
	for range s.clients {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, errors.Join(err, closeAll(connections))
		}
		if deadline, ok := ctx.Deadline(); ok {
			_ = conn.SetDeadline(deadline) // a connection that is open takes it
		}
		connections = append(connections, conn)
	}
	return connections, nil
}

func closeAll(connections []net.Conn) (err error) {
	for _, c := range connections {
		err = errors.Join(err, c.Close())
	}
	return err
}

// post sends requests one after the other. They are plain bytes, so that
// the client takes little of the CPU that it shares.
func post(conn net.Conn, requests [][]byte) error {
	reader := bufio.NewReaderSize(conn, 32<<10)
	for _, request := range requests {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			text, _ := io.ReadAll(response.Body) // what there is of it
			return fmt.Errorf("POST /mfa/setup: %s: %s", response.Status, text)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			return err
		}
	}
	return nil
}

// used is the CPU time that was used so far.
type used struct{ machine, caddy, server, client time.Duration }

// usedBy looks at an engine, a Caddy, if there is one, and this process.
func usedBy(e engine, c *caddy) (u used, err error) {
	if c != nil {
		if u.caddy, err = cpuTime(c.pid()); err != nil {
			return u, err
		}
	}
	if u.client, err = cpuTime(os.Getpid()); err != nil {
		return u, err
	}
	for _, pid := range e.processes() {
		if took, err := cpuTime(pid); err == nil { // else it has ended since
			u.server += took
		}
	}
	u.machine, err = machineTime()
	return u, err
}

// since is what n of something have cost, which took so long.
func (u used) since(before used, n int, took time.Duration) setupCost {
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(n) }
	return setupCost{
		rate: float64(n) / took.Seconds(), busy: (u.machine - before.machine).Seconds() / took.Seconds(),
		caddy: each(u.caddy - before.caddy), server: each(u.server - before.server), client: each(u.client - before.client),
	}
}
