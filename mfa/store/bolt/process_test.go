package bolt

import (
	"bufio"
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
)

// roles are what this test binary does when a test starts it again.
var roles = map[string]func(path string){
	"open":  roleOpen,
	"write": roleWrite,
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
		acknowledged = append(acknowledged, killed(t, path, random.IntN(600))...)
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

// killed runs a writing process, kills it after it has acknowledged n
// writes, and returns all that it did acknowledge.
func killed(t *testing.T, path string, n int) (keys []string) {
	t.Helper()
	p := child(t, "write", path)
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
