package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/pquerna/otp/totp"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

// send sends a request to the site and returns the answer's status and
// body.
func (o *operated) send(method, path, token, body string, headers ...string) (int, string) {
	o.Helper()
	r, err := http.NewRequest(method, "http://"+o.address+path, strings.NewReader(body))
	if err != nil {
		o.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	r.Close = true
	client := http.Client{Timeout: 20 * time.Second}
	answer, err := client.Do(r)
	if err != nil {
		o.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		o.Fatal(err)
	}
	return answer.StatusCode, string(content)
}

// call sends a request to a route and returns the answer's data, or all of
// it where it has none. An answer of another status than want fails the
// test.
func (o *operated) call(want int, path, token, body string, headers ...string) map[string]any {
	o.Helper()
	status, content := o.send(http.MethodPost, path, token, body, headers...)
	if status != want {
		o.Fatalf("%s is answered %d %s, want %d", path, status, content, want)
	}
	var answer map[string]any
	if err := json.Unmarshal([]byte(content), &answer); err != nil {
		o.Fatalf("%v: %s", err, content)
	}
	if data, ok := answer["data"].(map[string]any); ok {
		return data
	}
	return answer
}

// walk sends what one person does, and returns every secret that they
// saw: wrong and right codes at a setup and at a login, and requests to a
// gate before, between and after.
func (o *operated) walk(subject string, headers ...string) (secrets []string) {
	o.Helper()
	token := o.token(subject)
	knock := func(bearer string, want int) {
		o.Helper()
		if status, content := o.send(http.MethodGet, "/private/page", bearer, "", headers...); status != want {
			o.Fatalf("the gate answers %d %s, want %d", status, content, want)
		}
	}
	knock("", http.StatusUnauthorized)
	knock(token, http.StatusUnauthorized)
	setup := o.call(http.StatusOK, "/mfa/setup", token, `{"mfaType":"GOOGLE_AUTH"}`, headers...)
	secret := setup["secret"].(string)
	var codes []string
	for _, code := range setup["backupCodes"].([]any) {
		codes = append(codes, code.(string))
	}
	o.call(http.StatusBadRequest, "/mfa/verify-setup", token, `{"mfaType":"GOOGLE_AUTH","code":"wrongsetup"}`, headers...)
	code, err := totp.GenerateCode(secret, time.Now())
	if err != nil {
		o.Fatal(err)
	}
	enrolled := o.call(http.StatusOK, "/mfa/verify-setup", token, fmt.Sprintf(`{"mfaType":"GOOGLE_AUTH","code":%q}`, code), headers...)
	o.call(http.StatusUnauthorized, "/mfa/verify-login", token, `{"mfaType":"GOOGLE_AUTH","code":"WR0NG10G1N00"}`, headers...)
	grant := o.call(http.StatusOK, "/mfa/verify-login", token, fmt.Sprintf(`{"mfaType":"GOOGLE_AUTH","code":%q}`, codes[0]), headers...)
	secrets = append(codes, token, secret, code, "wrongsetup", "WR0NG10G1N00")
	for _, answer := range []map[string]any{enrolled, grant} {
		secrets = append(secrets, answer["fullAccessToken"].(string), answer["refreshToken"].(string))
	}
	knock(grant["fullAccessToken"].(string), http.StatusOK)
	return secrets
}

func TestMetricsCountWhatAPersonDoes(t *testing.T) {
	o := operate(t, nil)
	o.walk("alice")
	scrape := o.want(http.StatusOK, http.MethodGet, "/metrics", nil)
	for _, line := range []string{
		`caddy_mfa_setups_total{method="GOOGLE_AUTH",result="begun"} 1`,
		`caddy_mfa_setups_total{method="GOOGLE_AUTH",result="failed"} 1`,
		`caddy_mfa_setups_total{method="GOOGLE_AUTH",result="enrolled"} 1`,
		`caddy_mfa_verifications_total{method="GOOGLE_AUTH",result="failed"} 1`,
		`caddy_mfa_verifications_total{method="BACKUP_CODE",result="verified"} 1`,
		`caddy_mfa_gate_decisions_total{decision="unauthenticated"} 1`,
		`caddy_mfa_gate_decisions_total{decision="factor_required"} 1`,
		`caddy_mfa_gate_decisions_total{decision="passed"} 1`,
		`caddy_mfa_lockouts_total 0`,
	} {
		if !strings.Contains(scrape, line+"\n") {
			t.Errorf("there is no %s in\n%s", line, ours(scrape))
		}
	}
	for _, operation := range []string{"get", "update"} {
		if strings.Contains(scrape, `caddy_mfa_store_duration_seconds_count{operation="`+operation+`"} 0`) ||
			!strings.Contains(scrape, `caddy_mfa_store_duration_seconds_count{operation="`+operation+`"} `) {
			t.Errorf("no %s of the store is timed in\n%s", operation, ours(scrape))
		}
	}
	if strings.Contains(ours(scrape), "alice") {
		t.Errorf("the metrics name a person:\n%s", ours(scrape))
	}
}

// ours are the product's metrics.
func ours(scrape string) string {
	var lines []string
	for line := range strings.Lines(scrape) {
		if strings.HasPrefix(line, "caddy_mfa_") && !strings.Contains(line, "_bucket") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func TestALockoutIsCounted(t *testing.T) {
	o := operate(t, nil)
	token := o.token("alice")
	setup := o.call(http.StatusOK, "/mfa/setup", token, `{"mfaType":"GOOGLE_AUTH"}`)
	code, err := totp.GenerateCode(setup["secret"].(string), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	o.call(http.StatusOK, "/mfa/verify-setup", token, fmt.Sprintf(`{"mfaType":"GOOGLE_AUTH","code":%q}`, code))
	for range 7 {
		o.send(http.MethodPost, "/mfa/verify-login", token, `{"mfaType":"GOOGLE_AUTH","code":"AAAA-BBBB-CCCC"}`)
	}
	scrape := o.want(http.StatusOK, http.MethodGet, "/metrics", nil)
	if !strings.Contains(scrape, "caddy_mfa_lockouts_total 1\n") {
		t.Errorf("seven wrong codes lock more or less than once:\n%s", ours(scrape))
	}
}

// logTo has everything logged to the file as JSON, and the headers of
// requests as Caddy logs them when told to.
func logTo(file string) func(map[string]any) {
	return func(config map[string]any) {
		config["logging"] = map[string]any{"logs": map[string]any{"default": map[string]any{
			"level":   "DEBUG",
			"writer":  map[string]any{"output": "file", "filename": file, "roll": false},
			"encoder": map[string]any{"format": "json"},
		}}}
	}
}

// auditLines are those that the file has, by event.
func auditLines(t *testing.T, file string) (all string, lines []map[string]any) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if fields["logger"] == "mfa.audit" {
			lines = append(lines, fields)
		}
	}
	return string(content), lines
}

func TestTheAuditLogTellsWhoDidWhatAndNoSecret(t *testing.T) {
	file := t.TempDir() + "/log.json"
	o := operate(t, logTo(file))
	secrets := o.walk("alice")
	o.want(http.StatusOK, http.MethodPost, "/mfa/user/reset?subject=alice", nil)
	all, lines := auditLines(t, file)
	type row struct{ event, result, level, method, actor, by, reason, ip any }
	var got []row
	for _, line := range lines {
		if line["subject"] != "alice" {
			continue
		}
		if _, ok := line["issuer"]; !ok || line["msg"] != "security event" {
			t.Errorf("the line is %v", line)
		}
		got = append(got, row{line["event"], line["result"], line["level"], line["method"], line["actor_kind"], line["by"], line["reason"], line["client_ip"]})
	}
	const here = "127.0.0.1"
	want := []row{
		{"setup_begun", "success", "info", "GOOGLE_AUTH", "person", nil, nil, here},
		{"setup_failed", "failure", "warn", "GOOGLE_AUTH", "person", nil, nil, here},
		{"enrolled", "success", "info", "GOOGLE_AUTH", "person", nil, nil, here},
		{"failed", "failure", "warn", "GOOGLE_AUTH", "person", nil, "wrong_proof", here},
		{"verified", "success", "info", "BACKUP_CODE", "person", nil, nil, here},
		{"reset", "success", "info", nil, "operator", "operator", nil, ""},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the audit log is\n%v, want\n%v", got, want)
	}
	for _, secret := range secrets {
		if strings.Contains(all, secret) {
			t.Errorf("the log tells %q", secret)
		}
	}
}

func TestEveryActOfTheOperatorIsInTheAuditLog(t *testing.T) {
	file := t.TempDir() + "/log.json"
	o := operate(t, logTo(file))
	o.enrol(mfa.Caller{Subject: "alice"})
	o.enrol(mfa.Caller{Subject: "bob"})
	o.lock(mfa.Caller{Subject: "bob"})
	var backup string
	seen := 0
	for _, act := range []struct{ method, uri, event, subject string }{
		{http.MethodGet, "/mfa/backup", "store_backed_up", ""},
		{http.MethodPost, "/mfa/user/unlock?subject=bob", "unlocked", "bob"},
		{http.MethodPost, "/mfa/user/reset?subject=alice", "reset", "alice"},
		{http.MethodDelete, "/mfa/user?subject=alice", "deleted", "alice"},
		{http.MethodPost, "/mfa/keys/rotate", "signing_keys_changed", ""},
		{http.MethodPost, "/mfa/keys/rotate?revoke=true", "signing_keys_changed", ""},
		{http.MethodPost, "/mfa/restore?overwrite=true", "store_restored", ""},
		{http.MethodPost, "/mfa/keys/stage", "sealing_keys_staged", ""},
		{http.MethodPost, "/mfa/keys/promote", "sealing_keys_changed", ""},
		{http.MethodPost, "/mfa/keys/reseal?limit=100", "", ""}, // the records stay what they are
		{http.MethodPost, "/mfa/keys/retire?all=true", "sealing_keys_changed", ""},
	} {
		content := o.want(http.StatusOK, act.method, act.uri, strings.NewReader(backup))
		if act.event == "store_backed_up" {
			backup = content
		}
		_, lines := auditLines(t, file)
		var got []string
		for _, line := range lines {
			if line["actor_kind"] == "operator" {
				got = append(got, fmt.Sprintln(line["event"], line["subject"], line["by"], line["result"]))
			}
		}
		want := ""
		if act.event != "" {
			want = fmt.Sprintln(act.event, act.subject, "operator", "success")
		}
		if got := strings.Join(got[seen:], ""); got != want {
			t.Errorf("%s %s leaves %q, want %q", act.method, act.uri, got, want)
		}
		seen = len(got)
	}
	// What changes nothing leaves nothing.
	o.want(http.StatusUnprocessableEntity, http.MethodPost, "/mfa/restore?overwrite=true", strings.NewReader("damaged"))
	if _, lines := auditLines(t, file); lines[len(lines)-1]["event"] == "store_restored" {
		t.Error("a restore that was refused is in the audit log")
	}
}

func TestTheAuditLogNamesTheClientThatCaddyTrusts(t *testing.T) {
	for _, row := range []struct {
		name    string
		trusted []string
		want    string
	}{
		{"a proxy that is trusted", []string{"127.0.0.1/32"}, "203.0.113.7"},
		{"a proxy that is not", []string{"192.0.2.1/32"}, "127.0.0.1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			file := t.TempDir() + "/log.json"
			o := operate(t, func(config map[string]any) {
				logTo(file)(config)
				servers := config["apps"].(map[string]any)["http"].(map[string]any)["servers"].(map[string]any)
				for _, server := range servers {
					server.(map[string]any)["trusted_proxies"] = map[string]any{"source": "static", "ranges": row.trusted}
				}
			})
			o.walk("alice", "X-Forwarded-For: 203.0.113.7")
			_, lines := auditLines(t, file)
			seen := 0
			for _, line := range lines {
				if line["subject"] == "alice" {
					seen++
					if line["client_ip"] != row.want {
						t.Errorf("client_ip of %v is %v, want %s", line["event"], line["client_ip"], row.want)
					}
				}
			}
			if seen == 0 {
				t.Error("there is no line")
			}
		})
	}
}

// subscriber is told of events. Caddy makes it, so what it does is set
// from outside.
type subscriber struct{}

var subscribed func(caddy.Event)

func init() { caddy.RegisterModule(subscriber{}) }

func (subscriber) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.mfa_test", New: func() caddy.Module { return new(subscriber) }}
}

func (subscriber) Handle(_ context.Context, e caddy.Event) error {
	subscribed(e)
	return nil
}

var _ caddyevents.Handler = (*subscriber)(nil)

// subscribe has the subscriber told of the events.
func subscribe(events ...string) func(map[string]any) {
	return func(config map[string]any) {
		config["apps"].(map[string]any)["events"] = map[string]any{"subscriptions": []any{map[string]any{
			"events": events, "handlers": []any{map[string]any{"handler": "mfa_test"}},
		}}}
	}
}

// patience is how long a test waits for what comes at once.
const patience = 20 * time.Second

func TestSubscribersAreToldWhoEnrolled(t *testing.T) {
	told := make(chan caddy.Event, 100)
	subscribed = func(e caddy.Event) { told <- e }
	o := operate(t, subscribe("mfa_enrolled", "mfa_verified", "mfa_failed"))
	secrets := o.walk("alice")
	for _, row := range []struct{ name, method, reason string }{
		{"mfa_enrolled", "GOOGLE_AUTH", ""}, {"mfa_failed", "GOOGLE_AUTH", "wrong_proof"}, {"mfa_verified", "BACKUP_CODE", ""},
	} {
		select {
		case e := <-told:
			if e.Name() != row.name || e.Data["subject"] != "alice" || e.Data["method"] != row.method || e.Data["client_ip"] != "127.0.0.1" ||
				e.Data["by"] != "" || e.Data["actor_kind"] != "person" || e.Data["reason"] != row.reason {
				t.Errorf("the event is %s %v, want %v", e.Name(), e.Data, row)
			}
			at, _ := e.Data["time"].(string)
			if _, err := time.Parse(time.RFC3339, at); err != nil {
				t.Error(err)
			}
			for _, secret := range secrets {
				if strings.Contains(fmt.Sprint(e.Data), secret) {
					t.Errorf("the event tells %q", secret)
				}
			}
		case <-time.After(patience):
			t.Fatalf("there is no %s", row.name)
		}
	}
	if len(told) != 0 {
		t.Errorf("there are %d events more", len(told))
	}
}

func TestASubscriberThatHangsHoldsUpNeitherRequestsNorReloads(t *testing.T) {
	over, hangs := make(chan struct{}), make(chan struct{}, 100)
	subscribed = func(caddy.Event) {
		hangs <- struct{}{}
		<-over
	}
	defer close(over)
	o := operate(t, subscribe("mfa_enrolled"))
	o.walk("alice")
	select {
	case <-hangs:
	case <-time.After(patience):
		t.Fatal("the subscriber is not told")
	}
	o.walk("bob")
	stopped := make(chan error, 1)
	go func() { stopped <- caddy.Stop() }()
	select {
	case err := <-stopped:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the server does not stop")
	}
}

// token is an access token of the person.
func (o *operated) token(subject string) string {
	o.Helper()
	issuer, err := bearer.OpenDevIssuer("data/dev-issuer.json")
	if err != nil {
		o.Fatal(err)
	}
	token, err := issuer.Sign(map[string]any{"sub": subject})
	if err != nil {
		o.Fatal(err)
	}
	return token
}

func TestTheDecisionsOfGatesAreDocumented(t *testing.T) {
	document, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, row, _ := strings.Cut(string(document), "| `caddy_mfa_gate_decisions_total` | `decision`: ")
	row, _, _ = strings.Cut(row, ";")
	var want []string
	for _, decision := range api.Decisions {
		want = append(want, "`"+string(decision)+"`")
	}
	if row != strings.Join(want, ", ") {
		t.Errorf("documented: %s\nthere are: %s", row, strings.Join(want, ", "))
	}
}
