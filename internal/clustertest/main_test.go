package clustertest

import (
	"os"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

func TestMain(m *testing.M) { os.Exit(edgetest.Main(m)) }
