package clients_test

import (
	"os"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

func TestMain(m *testing.M) { os.Exit(edgetest.Main(m)) }

func TestEveryClientEnrolsThroughTheEdge(t *testing.T) {
	edge := edgetest.New(t)
	edge.Start(edgetest.Caddyfile)
	runAll(t, edge.URL, edge.Token("alice", nil))
}

func TestEveryCarelessRequestGetsAClearAnswer(t *testing.T) {
	edge := edgetest.New(t)
	edge.Start(edgetest.Caddyfile)
	runCareless(t, edge.URL, edge.Token("alice", nil))
}
