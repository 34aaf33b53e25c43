package clustertest

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// load is what people do at the cluster while something fails: they enrol,
// spend a backup code, and somebody with a stolen access token tries the
// gates. It keeps what was acknowledged.
type load struct {
	c    *Cluster
	t    *testing.T
	stop chan struct{}
	all  sync.WaitGroup

	mu       sync.Mutex
	enrolled []*person     // whose enrolment was acknowledged
	spent    []*person     // of them, those whose first backup code was
	unsure   []*person     // of them, those whose spending had no answer
	refusals int           // 503, and connections that were refused or broke
	probes   int           // of the gates
	last     time.Time     // when something was acknowledged
	longest  time.Duration // without anything acknowledged
	reached  chan struct{} // closed at the next so many acknowledgements
	wanted   int
}

// begin begins a load on the nodes of c, each request at another one.
func (c *Cluster) begin(t *testing.T) *load {
	l := &load{c: c, t: t, stop: make(chan struct{}), last: time.Now()}
	for range 6 {
		l.run(l.live)
	}
	thief, err := c.token(c.enrolled(t).subject)
	if err != nil {
		t.Fatal(err)
	}
	l.run(func() { l.steal(thief) })
	return l
}

// run calls f until the load ends.
func (l *load) run(f func()) {
	l.all.Go(func() {
		for {
			f()
			select {
			case <-l.stop:
				return
			case <-time.After(5 * time.Millisecond): // of thought
			}
		}
	})
}

// await waits until so many further enrolments or spendings were
// acknowledged.
func (l *load) await(what string, n int) {
	l.t.Helper()
	reached := make(chan struct{})
	l.mu.Lock()
	l.reached, l.wanted = reached, n
	l.mu.Unlock()
	select {
	case <-reached:
	case <-time.After(patience):
		l.t.Errorf("after %v still not: %s", patience, what)
	}
}

// acknowledged notes that something was. The caller holds mu.
func (l *load) acknowledged() {
	now := time.Now()
	l.longest = max(l.longest, now.Sub(l.last))
	l.last = now
	if l.wanted--; l.wanted == 0 {
		close(l.reached)
	}
}

// live lets one more person enrol and spend a code.
func (l *load) live() {
	p := &person{subject: l.c.subject()}
	var err error
	if p.token, err = l.c.token(p.subject); err != nil {
		l.t.Error(err)
		return
	}
	setup := l.post("/mfa/setup", p.token, map[string]any{"mfaType": "GOOGLE_AUTH"})
	data, ok := setup.JSON["data"].(map[string]any)
	if setup.Status != http.StatusOK || !ok {
		return
	}
	p.begun(data)
	code, err := totp.GenerateCode(p.secret, time.Now())
	if err != nil {
		l.t.Error(err)
		return
	}
	confirmed := l.post("/mfa/verify-setup", p.token, proof(code))
	if confirmed.Status != http.StatusOK {
		return
	}
	p.access, _ = confirmed.JSON["fullAccessToken"].(string)
	l.mu.Lock()
	l.enrolled = append(l.enrolled, p)
	l.acknowledged()
	l.mu.Unlock()

	spent := l.post("/mfa/verify-login", p.token, proof(p.backup[0]))
	l.mu.Lock()
	defer l.mu.Unlock()
	switch spent.Status {
	case http.StatusOK:
		l.spent = append(l.spent, p)
		l.acknowledged()
	case http.StatusUnauthorized:
		l.t.Errorf("the backup code of %s, who has just enrolled, is refused: %s", p.subject, spent.Body)
	default:
		l.unsure = append(l.unsure, p)
	}
}

// post sends a request to the next node. The status is 0 when there is no
// answer.
func (l *load) post(path, token string, body any) edgetest.Answer {
	answer, err := edgetest.Try(l.c.Nodes[l.c.Any()].Request("POST", path, token, body))
	if err != nil || answer.Status == http.StatusServiceUnavailable {
		l.mu.Lock()
		l.refusals++
		l.mu.Unlock()
	} else if answer.Status >= 500 {
		l.t.Errorf("POST %s: %d %s", path, answer.Status, answer.Body)
	}
	return answer
}

// steal tries a gate with nothing but a login's access token.
func (l *load) steal(token string) {
	node := l.c.Any()
	open, answer, _ := l.c.opens(node, token) // no answer is no way in either
	if open {
		l.t.Errorf("the gate of node %d opens without a second factor: %d %s", node, answer.Status, answer.Body)
	}
	l.mu.Lock()
	l.probes++
	l.mu.Unlock()
}

// end ends the load, and holds what was acknowledged against what the nodes
// know.
func (l *load) end() {
	l.t.Helper()
	close(l.stop)
	l.all.Wait()
	t, c := l.t, l.c
	for _, p := range l.enrolled {
		node := c.Any()
		if status := c.Do(t, node, "GET", "/mfa/status", p.token, nil).Data(t); status["isEnabled"] != true {
			t.Errorf("node %d has lost that %s has enrolled: %v", node, p.subject, status)
		}
	}
	for _, p := range l.spent {
		if count := c.all(t, 1, "POST", "/mfa/verify-login", p.token, proof(p.backup[0])); count[200] != 0 || count[401] != nodes {
			t.Errorf("a code of %s that was spent is taken again: %v", p.subject, count)
		}
	}
	for _, p := range l.unsure {
		if count := c.all(t, 1, "POST", "/mfa/verify-login", p.token, proof(p.backup[0])); count[200] > 1 || count[200]+count[401] != nodes {
			t.Errorf("a code of %s that may have been spent is answered with %v", p.subject, count)
		}
	}
	t.Logf("%d people enrolled and %d codes spent, none lost and none spent twice; of %d more nobody was told; "+
		"%d requests refused; %d tries at gates; nothing was acknowledged for %v at most",
		len(l.enrolled), len(l.spent), len(l.unsure), l.refusals, l.probes, l.longest.Round(time.Millisecond))
}
