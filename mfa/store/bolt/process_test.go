package bolt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// roles are what this test binary does when a test starts it again.
var roles = map[string]func(path string){
	"open":    roleOpen,
	"write":   roleWrite,
	"restore": roleRestore,
}

const roleVariable = "BOLT_TEST_ROLE"

func TestMain(m *testing.M) {
	if role, ok := roles[os.Getenv(roleVariable)]; ok {
		role(os.Args[1])
		return
	}
	os.Exit(m.Run())
}

type process struct{ *exec.Cmd }

// child prepares this binary to play role on the database at path.
func child(t *testing.T, role, path string) process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, path)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.WaitDelay = 10 * time.Second
	return process{cmd}
}

func (p process) output(t *testing.T) string {
	t.Helper()
	out, err := p.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func roleOpen(path string) {
	s, err := Open(path)
	switch {
	case errors.Is(err, ErrLocked):
		fmt.Println("locked")
	case err != nil:
		fmt.Println(err)
	default:
		fmt.Println("opened")
		s.Close()
	}
}

// roleWrite writes for as long as it lives, and prints each key once its
// write has been acknowledged.
func roleWrite(path string) {
	s, err := Open(path)
	if err != nil {
		fmt.Println("failed:", err)
		return
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				key := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, n)
				if err := put(s, key, []byte(strings.Repeat(key, 1+n%200))); err != nil {
					fmt.Println("failed:", err)
					return
				}
				fmt.Println(key)
			}
		})
	}
	wg.Wait()
}

func TestEveryAcknowledgedWriteSurvivesAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.db")
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	random := rand.New(rand.NewPCG(1, 2))
	var acknowledged []string
	for round := range rounds {
		acknowledged = append(acknowledged, killed(t, "write", path, random.IntN(600))...)
		s, err := Open(path)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		for _, key := range acknowledged {
			var n int
			fmt.Sscanf(key[strings.LastIndexByte(key, '-')+1:], "%d", &n)
			mustHold(t, s, key, strings.Repeat(key, 1+n%200))
		}
		mustPut(t, s, "alive", fmt.Sprint(round))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(acknowledged) == 0 {
		t.Error("nothing was acknowledged in any round")
	}
	t.Logf("%d acknowledged writes over %d kills", len(acknowledged), rounds)
}

// killed runs a process that plays role, kills it after it has printed n
// lines, and returns all that it did print.
func killed(t *testing.T, role, path string, n int) (keys []string) {
	t.Helper()
	p := child(t, role, path)
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if n == 0 { // somewhere in its start
		_ = p.Process.Kill()
	}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break // a line without an end was not finished
		} else if err != nil {
			t.Fatal(err)
		}
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "failed:") {
			t.Fatal(line)
		}
		if keys = append(keys, line); len(keys) == n {
			_ = p.Process.Kill()
		}
	}
	_ = p.Wait()
	return keys
}

// roleRestore restores two snapshots in turn for as long as it lives. It
// prints a line when it is about to replace the documents, and one when
// it has.
func roleRestore(path string) {
	s, err := Open(path)
	if err != nil {
		fmt.Println("failed:", err)
		return
	}
	for n := 0; ; n++ {
		taken, err := os.Open(snapshotPath(path, n%2))
		if err != nil {
			fmt.Println("failed:", err)
			return
		}
		err = s.Restore(context.Background(), taken, func(_, _ store.Content) error {
			fmt.Println("begins", n%2)
			return nil
		})
		if err != nil {
			fmt.Println("failed:", err)
			return
		}
		fmt.Println("restored", n%2)
		_ = taken.Close()
	}
}

func snapshotPath(path string, n int) string {
	return fmt.Sprint(path, ".snapshot", n)
}

func TestAKillDuringARestoreLeavesTheOldOrTheNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.db")
	s := mustOpen(t, path)
	const documents = 100
	for n := range 2 {
		for i := range documents {
			mustPut(t, s, fmt.Sprintf("user/%03d", i), strings.Repeat(fmt.Sprint(n), 20_000))
		}
		if err := os.WriteFile(snapshotPath(path, n), mustSnapshot(t, s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rounds := 16
	if testing.Short() {
		rounds = 4
	}
	random := rand.New(rand.NewPCG(7, 8))
	for round := range rounds {
		lines := killed(t, "restore", path, 1+random.IntN(10))
		s, err := Open(path)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		page, err := s.List(context.Background(), "", "", store.MaxPage)
		if err != nil || len(page) != documents {
			t.Fatalf("round %d: %d documents, %v", round, len(page), err)
		}
		which := page[0].Value[:1]
		for _, d := range page {
			if string(d.Value) != strings.Repeat(string(which), 20_000) {
				t.Fatalf("round %d: %s is not as the others", round, d.Key)
			}
		}
		if last := lines[len(lines)-1]; strings.HasPrefix(last, "restored") && last != "restored "+string(which) {
			// Nothing is replaced before the line that says so.
			t.Errorf("round %d: %s, but there is %s", round, last, which)
		}
		if left := beside(t, path); len(left) != 2 {
			t.Errorf("round %d: left behind: %v", round, left)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
