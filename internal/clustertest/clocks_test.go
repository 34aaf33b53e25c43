package clustertest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/pgtest"
)

func TestANodeWhoseClockIsNotThatOfTheDatabaseClosesUntilItIs(t *testing.T) {
	server := pgtest.New(t, "fsync=off")
	database := server.Database()
	server.Exec(database, "CREATE SCHEMA other")
	// For node 1 alone, the database's clock is ahead.
	set := func(ahead string) {
		server.Exec(database, fmt.Sprintf("CREATE OR REPLACE FUNCTION other.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS "+
			"'SELECT pg_catalog.clock_timestamp() + interval ''%s'''", ahead))
	}
	set("20 seconds")
	c := Start(t, Engine{
		Secret: pgtest.Password,
		Store: func(node int) (string, []string) {
			dsn := server.DSN(pgtest.Superuser, database)
			if node == 1 {
				dsn += "&search_path=public,other,pg_catalog"
			}
			return "store postgres {\n\tdsn {env.MFA_DSN}\n\ttimeout 2s\n}", []string{"MFA_DSN=" + dsn}
		},
	})
	p := c.enrolled(t)
	c.wantOpen(t, p.access) // 20 s are borne
	c.Nodes[1].AwaitLog("this node's clock differs from that of the store")

	set("2 minutes")
	edgetest.Eventually(t, patience, "node 1 closes", func() bool { open, _, _ := c.opens(1, p.access); return !open })
	for _, node := range []int{0, 2} {
		if open, answer, err := c.opens(node, p.access); !open {
			t.Errorf("node %d: %d %s, %v", node, answer.Status, answer.Body, err)
		}
	}
	c.Do(t, 1, "GET", "/mfa/status", p.access, nil).WantError(t, 503, "unavailable", "")
	p.login(t, c, 1, p.backup[0]).WantError(t, 503, "unavailable", "")
	c.Nodes[1].AwaitLog("this node's clock is too far from that of the store")
	response, err := http.Get("http://" + c.Nodes[1].Admin() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	scrape, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(scrape), "caddy_mfa_store_clock_skew_seconds -1") {
		t.Errorf("the metrics do not tell it: %v", err)
	}

	set("0 seconds")
	edgetest.Eventually(t, patience, "node 1 opens", func() bool { open, _, _ := c.opens(1, p.access); return open })
	p.login(t, c, 1, p.backup[0]).WantMessage(t, "MFA verification successful")
}
