package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/caddymfa/caddy-mfa/internal/pgserver"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/postgres"
)

// postgresEngine is PostgreSQL with its own settings, but for room and
// connections, and pgbench.
type postgresEngine struct {
	server *pgserver.Server
	script string
	size   int // of a document
}

// postgresConnections is what a machine with a server of its own affords.
const postgresConnections = 32

// The databases: one for Caddy, one for pgbench.
const (
	databaseCaddy = "caddy"
	databaseFloor = "floor"
)

// floorScript has the statements that a setup makes of somebody new, each a
// transaction of its own as they are there. Two reads, one to check the
// request and one to decide over the record, and the write of it.
const floorScript = `\set id random(1, 9000000000000000)
SELECT value, version FROM caddy_mfa_documents WHERE key = convert_to('user/floor' || :id, 'UTF8');
SELECT value, version FROM caddy_mfa_documents WHERE key = convert_to('user/floor' || :id, 'UTF8');
INSERT INTO caddy_mfa_documents (key, value, version) VALUES (convert_to('user/floor' || :id, 'UTF8'), :value, :id) ON CONFLICT (key) DO NOTHING;
`

func (p *postgresEngine) start(_ context.Context, folder string) error {
	server, err := pgserver.New("max_wal_size=4GB", "checkpoint_timeout=30min")
	if err != nil {
		return err
	}
	p.server = server
	p.script = filepath.Join(folder, "floor.sql")
	return errors.Join(os.WriteFile(p.script, []byte(floorScript), 0o600), server.Start(),
		server.Exec("postgres", "CREATE DATABASE "+databaseCaddy, "CREATE DATABASE "+databaseFloor))
}

func (p *postgresEngine) store() (option string, env []string) {
	option = fmt.Sprintf("store postgres {\n\t\t\tdsn {env.MFA_DSN}\n\t\t\tmax_connections %d\n\t\t}", postgresConnections)
	return option, []string{"MFA_DSN=" + p.server.DSN(pgserver.Superuser, databaseCaddy)}
}

// place implements placer.
func (p *postgresEngine) place(name string) (option string, env []string, err error) {
	database := strings.NewReplacer(" ", "_", ",", "").Replace("at " + name)
	option, _ = p.store()
	return option, []string{"MFA_DSN=" + p.server.DSN(pgserver.Superuser, database)},
		p.server.Exec("postgres", "CREATE DATABASE "+database)
}

func (p *postgresEngine) prepare(ctx context.Context, documents int) error {
	conn, err := pgx.Connect(ctx, p.server.DSN(pgserver.Superuser, databaseCaddy))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, "SELECT avg(octet_length(value))::int FROM caddy_mfa_documents WHERE key >= 'user/' AND key < 'user0'").Scan(&p.size)
	if err != nil {
		return fmt.Errorf("measuring a document: %w", err)
	}
	floor, err := p.open(ctx) // which makes the tables
	if err != nil {
		return err
	}
	if err := floor.Close(); err != nil {
		return err
	}
	fill := fmt.Sprintf("INSERT INTO caddy_mfa_documents SELECT convert_to('user/fill' || i, 'UTF8'), "+
		"substr(decode(repeat(md5(i::text), %d), 'hex'), 1, %d), i FROM generate_series(1, %d) AS i", p.size/16+1, p.size, documents)
	return errors.Join(p.server.Exec(databaseFloor, fill, "VACUUM ANALYZE caddy_mfa_documents"),
		p.server.Exec(databaseCaddy, fill, "VACUUM ANALYZE caddy_mfa_documents", "CHECKPOINT"))
}

var tps = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

func (p *postgresEngine) floor(ctx context.Context, clients int, d time.Duration) (floorCost, error) {
	before, err := machineTime()
	if err != nil {
		return floorCost{}, err
	}
	begun := time.Now()
	host, port, _ := strings.Cut(p.server.Address, ":")
	cmd := exec.CommandContext(ctx, p.server.Program("pgbench"), "--no-vacuum", "--protocol", "prepared",
		"--client", strconv.Itoa(clients), "--jobs", "2", "--time", strconv.Itoa(int(d.Seconds())),
		"--define", "value="+`\x`+hex.EncodeToString(p.document()), "--file", p.script,
		"--host", host, "--port", port, "--username", pgserver.Superuser, databaseFloor)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+pgserver.Password)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return floorCost{}, fmt.Errorf("running pgbench: %w\n%s", err, out)
	}
	found := tps.FindSubmatch(out)
	if found == nil {
		return floorCost{}, fmt.Errorf("running pgbench: it prints no rate:\n%s", out)
	}
	rate, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		return floorCost{}, err
	}
	took := time.Since(begun)
	after, err := machineTime()
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return floorCost{
		rate: rate, busy: (after - before).Seconds() / took.Seconds(),
		client: float64(used.Microseconds()) / (rate * d.Seconds()),
	}, err
}

func (p *postgresEngine) open(ctx context.Context) (store.Store, error) {
	return postgres.Open(ctx, postgres.Config{DSN: p.server.DSN(pgserver.Superuser, databaseFloor), MaxConnections: postgresConnections})
}

func (p *postgresEngine) document() []byte { return bytes.Repeat([]byte{'Z'}, p.size) }

func (p *postgresEngine) processes() []int { return p.server.Processes() }

func (p *postgresEngine) stop() error {
	return errors.Join(p.server.Stop(), p.server.Remove())
}
