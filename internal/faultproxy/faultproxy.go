// Package faultproxy stands between a program and a server of a test, and
// fails as networks do: it ends connections, or lets nothing through.
package faultproxy

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy passes TCP connections on to a server, until it is told not to.
type Proxy struct {
	// Address is the host and port to connect to.
	Address string

	target string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	open     chan struct{}    // closed while bytes pass
	one      [2]chan struct{} // likewise, for each direction alone; nil while they pass
	delay    time.Duration
	over     bool
}

// Direction is where bytes go.
type Direction int

// The directions.
const (
	ToServer Direction = iota
	ToClient
)

// New starts a proxy to target, a host and port. It ends with the test.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Address: listener.Addr().String(), target: target, conns: make(map[net.Conn]bool), open: make(chan struct{})}
	close(p.open)
	p.serve(listener)
	t.Cleanup(func() {
		p.mu.Lock()
		p.over = true
		p.mu.Unlock()
		p.Cut()
		p.pass()
	})
	return p
}

// Cut ends all connections and refuses new ones.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
	for conn := range p.conns {
		_ = conn.Close()
	}
	clear(p.conns)
}

// Silence lets nothing through any more, in either direction: what is sent
// waits, as it does in a network that drops, and so does the news that
// either side has closed. New connections are made and get no answer.
func (p *Proxy) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
		p.open = make(chan struct{})
	default: // it is silent
	}
}

// SilenceOne is Silence in one direction: the other side is heard, and does
// not hear.
func (p *Proxy) SilenceOne(d Direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.one[d] == nil {
		p.one[d] = make(chan struct{})
	}
}

// Slow has whatever the server sends arrive that much later, 0 for at once.
// The order stays.
func (p *Proxy) Slow(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

// Mend undoes Cut, Silence, SilenceOne and Slow.
func (p *Proxy) Mend(t testing.TB) {
	t.Helper()
	p.Slow(0)
	p.pass()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		return
	}
	listener, err := net.Listen("tcp", p.Address)
	if err != nil {
		t.Fatal(err)
	}
	p.serve(listener)
}

func (p *Proxy) pass() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
	default:
		close(p.open)
	}
	for d, silent := range p.one {
		if silent != nil {
			close(silent)
			p.one[d] = nil
		}
	}
}

// serve takes connections until the listener is closed. The caller holds
// mu, or is alone.
func (p *Proxy) serve(listener net.Listener) {
	p.listener = listener
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go p.connect(conn)
		}
	}()
}

func (p *Proxy) connect(client net.Conn) {
	if !p.keep(client) {
		return
	}
	defer p.drop(client)
	p.await(ToServer)
	server, err := net.Dial("tcp", p.target)
	if err != nil || !p.keep(server) {
		return // the client sees its connection end
	}
	defer p.drop(server)
	var both sync.WaitGroup
	for d, way := range [][2]net.Conn{ToServer: {client, server}, ToClient: {server, client}} {
		both.Go(func() {
			p.pump(way[0], way[1], Direction(d))
			// Neither of the protocols in use knows half a connection.
			_ = client.Close()
			_ = server.Close()
		})
	}
	both.Wait()
}

// mostUnderWay is how many pieces a slow proxy holds back at a time.
const mostUnderWay = 1024

// piece is what one reading brought. Err ends the connection after it.
type piece struct {
	bytes []byte
	err   error
	at    time.Time // not to arrive before
}

// pump passes on what comes from one side, and waits while nothing may pass.
func (p *Proxy) pump(from, to net.Conn, d Direction) {
	underWay, over := make(chan piece, mostUnderWay), make(chan struct{})
	defer close(over)
	go func() {
		defer close(underWay)
		for {
			buffer := make([]byte, 32<<10)
			n, err := from.Read(buffer)
			p.mu.Lock()
			at := time.Now()
			if d == ToClient {
				at = at.Add(p.delay)
			}
			p.mu.Unlock()
			select {
			case underWay <- piece{buffer[:n], err, at}:
			case <-over:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for next := range underWay {
		time.Sleep(time.Until(next.at))
		p.await(d)
		if len(next.bytes) > 0 {
			if _, err := to.Write(next.bytes); err != nil {
				return
			}
		}
		if next.err != nil {
			return
		}
	}
}

// await waits until bytes may pass in a direction.
func (p *Proxy) await(d Direction) {
	for {
		p.mu.Lock()
		open, one := p.open, p.one[d]
		p.mu.Unlock()
		<-open
		if one == nil {
			return
		}
		<-one
	}
}

// keep notes a connection, so that Cut ends it, and reports whether it may
// be used.
func (p *Proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.listener == nil {
		_ = conn.Close()
		return false
	}
	p.conns[conn] = true
	return true
}

func (p *Proxy) drop(conn net.Conn) {
	_ = conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}
