package main_test

import (
	"net"
	"testing"
)

// hangingListener returns the address of a server that takes connections
// and never says a word.
func hangingListener(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		var open []net.Conn
		for {
			conn, err := listener.Accept()
			if err != nil {
				for _, conn := range open {
					conn.Close()
				}
				return
			}
			open = append(open, conn)
		}
	}()
	return listener.Addr().String()
}
