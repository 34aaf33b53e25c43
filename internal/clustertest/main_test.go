package clustertest

import (
	"os"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/etcdserver"
)

func TestMain(m *testing.M) {
	code := edgetest.Main(m)
	etcdserver.Clean()
	os.Exit(code)
}
