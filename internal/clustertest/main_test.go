package clustertest

import (
	"os"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/etcdtest"
)

func TestMain(m *testing.M) {
	code := edgetest.Main(m)
	etcdtest.Clean()
	os.Exit(code)
}
